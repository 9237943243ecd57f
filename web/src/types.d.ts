// The shapes of the API's replies that the dashboard reads. Whatever the
// daemon may leave out or answer with null is optional here.

export type JobState =
  | 'queued' | 'running' | 'stopping' | 'paused'
  | 'succeeded' | 'failed' | 'cancelled';

export interface Phase { kind: string; name: string; index: number; of: number; }

export interface Progress {
  fraction?: number | null;
  phase_fraction?: number | null;
  eta_s?: number | null;
  images_per_s?: number | null;
  epoch?: number | null;
  step?: number | null;
  phase?: Phase | null;
}

export interface PhaseCost { wall_s: number; cpu_s: number; images: number; macs: number; }

export interface Job {
  id: string;
  name: string;
  state: JobState;
  reason?: string | null;
  paused_by?: string | null;
  priority?: number;
  created?: number | null;
  started?: number | null;
  ended?: number | null;
  phase?: Phase | null;
  progress?: Progress | null;
  cost?: Record<string, PhaseCost> | null;
  best_accuracy?: number | null;
  evaluations?: number | null;
  dataset?: string;
  space?: string;
  strategy?: string;
  epochs?: number;
  spec?: Spec;
  answers?: Answer[];
  architecture?: string | null;
  parent?: string | null;
  before?: Counted;
  after?: Counted;
}

export interface Space {
  name: string;
  family: string;
  architectures: number;
  resolutions: number[];
  largest: { macs: number; params: number };
  smallest: { macs: number; params: number };
}

export interface Supernet {
  name: string;
  space: string;
  job?: string | null;
  available: boolean;
  step?: number | null;
  classes: number;
  channels: number;
  dataset?: string | null;
}

export interface Proportion { value: number; ci?: [number, number] | null; images?: number; }

/** What a job of one architecture counted at one time. */
export interface Counted { holdout?: Proportion | null; test?: Proportion | null; }

export interface Spec {
  name?: string;
  dataset: string;
  space?: string;
  supernet?: string;
  strategy?: string;
  epochs?: number;
  seed?: number;
  train?: Record<string, any>;
  sparsenas?: Record<string, any>;
  search?: Record<string, any>;
}

export interface Latency {
  predicted?: number | null;
  measured?: number | null;
  ci?: [number, number] | null;
  runtime?: string;
}

export interface Evaluation {
  seq?: number;
  arch: string;
  stage: 'early' | 'final' | 'verify';
  split: string;
  step: number;
  images?: number;
  accuracy: number;
  predicted?: number | null;
  selected?: boolean;
  macs: number;
  params?: number | null;
  peak_memory?: number | null;
  latency_ms?: Latency | null;
  links?: { onnx?: string; weights?: string; self?: string };
}

export interface Best extends Evaluation {
  test_accuracy?: { value: number; ci?: [number, number] | null } | null;
  ci?: [number, number] | null;
}

export interface Answer {
  index: number;
  of: number;
  cost: 'latency_ms' | 'macs';
  latency_ms?: number;
  macs?: number;
  found: boolean;
  best: Evaluation;
  test_accuracy?: { value: number; ci?: [number, number] | null } | null;
}

export interface Front {
  cost: string;
  device?: string;
  as_of_step?: number | null;
  front_version?: number | null;
  items: Best[];
}

export interface Point { name?: string; step: number; epoch?: number | null; value: number; }

export interface PredictorPoint {
  arch: string;
  measured: number;
  predicted: number;
  macs?: number | null;
}

export interface Outcome {
  n: number;
  measured: { tau: number; tau_within: number };
  predicted: { tau: number; tau_within: number };
  top: number;
  kept: number | null;
  top_kept: number | null;
  verdict: string;
}

export interface Predictor {
  kind: string;
  stage: string;
  round?: number;
  step: number;
  n: number;
  tau?: number | null;
  tau_ci?: [number, number] | null;
  spearman?: number | null;
  mae?: number | null;
  reliability?: number | null;
  has_signal?: boolean;
  used?: boolean;
  verdict?: string;
  points?: PredictorPoint[];
}

export interface Band {
  macs_lo: number; macs_hi: number; threshold: number; scored: number; kept: number;
}

export interface Subspace {
  step: number;
  scored: number;
  size: number;
  space_size?: number | null;
  density?: number | null;
  bands?: Band[];
}

export interface LogLine { seq?: number; time?: number | null; level: string; text: string; }

export interface Problem {
  status: number;
  title: string;
  detail?: string;
  errors: { pointer: string; detail: string }[];
}
