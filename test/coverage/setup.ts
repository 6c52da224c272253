import { PROCESSES } from './processes.ts';

/** Node writes what each process counted here; not for this process, in which Vitest counts. */
process.env.NODE_V8_COVERAGE = PROCESSES;
