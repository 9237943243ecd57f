// The daemon's one stream of events, and what to do when it breaks.
//
//   connecting --open--> live --error--> lost --open--> live (`fresh` again)
//
// The browser resumes a broken stream with Last-Event-ID by itself; only when
// it gives up (the daemon answered with an error) is a new stream opened. In
// both cases `fresh` is called once the stream is open, since progress and
// series are sent live only: whoever shows them then reads them anew.

/** @typedef {'connecting' | 'live' | 'lost'} LinkState */

const TYPES = ['job', 'phase', 'progress', 'series', 'evaluation', 'predictor', 'subspace',
  'outcome', 'front', 'answer', 'checkpoint', 'log'];
const RETRY_MS = [500, 1000, 2000, 5000];

/**
 * @param {object} to
 * @param {(state: LinkState) => void} to.link
 * @param {() => void} to.fresh
 * @param {(type: string, job: string | null, data: any, time: number, id: number) => void} to.event
 */
export function openEvents(to) {
  let tries = 0;

  function connect() {
    const source = new EventSource('/api/v1/events');
    source.addEventListener('open', () => {
      tries = 0;
      to.link('live');
      to.fresh();
    });
    source.addEventListener('error', () => {
      to.link('lost');
      if (source.readyState !== EventSource.CLOSED) return;
      source.close();
      setTimeout(connect, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
    });
    for (const type of TYPES)
      source.addEventListener(type, (event) => {
        const { job, time, data } = JSON.parse(event.data);
        to.event(type, job, data, time, Number(event.lastEventId) || 0);
      });
  }

  to.link('connecting');
  connect();
}
