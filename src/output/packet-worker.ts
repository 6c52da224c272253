/** A thread of `ParallelPackets`. */
import { parentPort, workerData } from 'node:worker_threads';
import { FlowRoles } from '../core/outline.ts';
import { buildDissector } from '../registration.ts';
import { type PacketJob, PacketJobs } from './packet-job.ts';

const dissector = buildDissector(workerData as readonly string[], { application: true });
const jobs = new PacketJobs(dissector, new FlowRoles(dissector.registry));
parentPort!.on('message', (job: PacketJob) => {
  const result = jobs.do(job);
  parentPort!.postMessage(result, [result.lines.buffer as ArrayBuffer, result.bytes.buffer as ArrayBuffer]);
});
