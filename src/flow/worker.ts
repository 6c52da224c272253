/** A thread of `ParallelAccounting`. */
import { parentPort, workerData } from 'node:worker_threads';
import { FlowRoles } from '../core/outline.ts';
import { buildDissector } from '../registration.ts';
import { FlowAccounting } from './accounting.ts';
import { Exchange } from './exchange.ts';
import type { WorkerResult, WorkerTask } from './parallel.ts';

const { share, shares, common, exchange: at, vniKey, analyses, decodeAs }: WorkerTask = workerData;
const dissector = buildDissector(decodeAs, { application: false });
const roles = new FlowRoles(dissector.registry);
const accounting = new FlowAccounting(dissector, roles, vniKey, { share, shares, common }, analyses);
const exchange = new Exchange(accounting, at);
while (!exchange.done) {
  const { epoch } = exchange;
  if (!exchange.step() && !exchange.done) exchange.wait(epoch);
}
const { kernel } = accounting.own;
const state = kernel.allocate(24);
kernel.exports.saveState(state);
parentPort!.postMessage(state satisfies WorkerResult);
