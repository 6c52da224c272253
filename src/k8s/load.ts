/** Names from a file, or from a cluster by way of kubectl. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Interrupted, UsageError } from '../errors.ts';
import { readWholeFile } from '../whole-file.ts';
import { type KubeNames, kubeNames } from './names.ts';

/** What stands for the live cluster in place of a file. */
const CLUSTER = 'cluster';
const QUESTION = ['get', 'pods,svc,nodes', '-A', '-o', 'json'];
/** A cluster of some ten thousand pods; a little more, and it would be no string of V8. */
const MAX_BYTES = 500 << 20;

/** @param from a file, or 'cluster' */
export async function loadNames(from: string, signal: AbortSignal): Promise<KubeNames> {
  const text =
    from === CLUSTER
      ? await askCluster(signal)
      : (await readWholeFile('--k8s', from, MAX_BYTES, signal)).toString();
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new UsageError(`--k8s ${from}: no JSON; kubectl ${QUESTION.join(' ')} makes what is expected`);
  }
  const names = kubeNames(document);
  if (names === null)
    throw new UsageError(
      `--k8s ${from}: no pods, services or nodes; kubectl ${QUESTION.join(' ')} makes what is expected`,
    );
  return names;
}

async function askCluster(signal: AbortSignal): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('kubectl', QUESTION, { signal, maxBuffer: MAX_BYTES });
    return stdout;
  } catch (error) {
    if (signal.aborted) throw new Interrupted();
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT')
      throw new UsageError(
        `--k8s ${CLUSTER}: kubectl is not here; elsewhere, kubectl ${QUESTION.join(' ')} makes a file for --k8s`,
      );
    const [reason] = (stderr || message).trim().split('\n').slice(-1);
    throw new UsageError(`--k8s ${CLUSTER}: ${reason}`);
  }
}
