// What the job has said.

import { empty, fill, h, panel } from './dom.js';
import { clock } from './format.js';
import { state, watch } from './store.js';

export function logPanel() {
  const list = h('ol', { class: 'log', tabIndex: 0, 'aria-label': 'log lines' });
  const note = h('div', {});

  function draw() {
    const lines = state.detail?.log ?? [];
    const follows = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
    fill(note, lines.length === 0 && empty(state.detail?.status === 'loading' ? 'Loading\u2026' : 'No lines yet.'));
    list.hidden = lines.length === 0;
    fill(list, ...lines.map((l) => h('li', { class: l.level },
      h('time', {}, clock(l.time)), h('span', { class: 'level' }, l.level), h('span', {}, l.text))));
    if (follows) list.scrollTop = list.scrollHeight;
  }

  const stop = watch('log', draw);
  draw();
  return { element: panel('Log', null, note, list), free: stop };
}
