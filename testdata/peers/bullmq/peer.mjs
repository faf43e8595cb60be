// BullMQ in the roles of ../roles.go: the same flags, the same conversation, one
// JSON object a line. Defaults throughout.
import { createInterface } from 'node:readline';
import { Queue, Worker } from 'bullmq';

const flags = { concurrency: '1', jobs: '0', callers: '1', batch: '1', rate: '0', payload: 'noop' };
const role = process.argv[2];
for (let i = 3; i + 1 < process.argv.length; i += 2) flags[process.argv[i].replace(/^-+/, '')] = process.argv[i + 1];
const number = (name) => Number(flags[name]);
const connection = { path: flags.redis };
const queueName = 'noop';

const say = (message) => process.stdout.write(JSON.stringify({ ...message, pid: process.pid }) + '\n');
const nowNs = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
const cpu = () => { const u = process.cpuUsage(); return u.user + u.system; };

// What the harness says, one word after another.
const words = [];
const waiting = [];
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const word = JSON.parse(line).do;
  const next = waiting.shift();
  if (next) next(word); else words.push(word);
});
lines.on('close', () => process.exit(0)); // the harness is gone or has ended us
const hear = () => new Promise((resolve) => {
  if (words.length > 0) resolve(words.shift()); else waiting.push(resolve);
});

async function work() {
  let jobs = 0, first = 0n;
  const late = [];
  let release = [];
  const worker = new Worker(queueName, async (job) => {
    const now = nowNs();
    if (++jobs === 1) first = now;
    if (jobs === number('jobs')) say({ event: 'done' });
    const payload = job.data.payload;
    if (payload.startsWith('at ')) late.push(Number(now - BigInt(payload.slice(3))) / 1000);
    if (payload === 'hold') {
      say({ event: 'began', job: job.id, at: Number(now) });
      await new Promise((resolve) => release.push(resolve));
    }
  }, { connection, concurrency: number('concurrency'), autorun: false });
  worker.on('error', (err) => say({ event: 'failed', text: String(err) }));
  await worker.waitUntilReady();
  say({ event: 'ready' });
  if (await hear() !== 'go') return;
  const begun = cpu();
  worker.run();
  for (;;) {
    switch (await hear()) {
      case 'report': say({ event: 'report', jobs, first: Number(first), cpu: cpu() - begun, late }); break;
      case 'release': release.shift()?.(); break;
    }
  }
}

async function submit() {
  const queue = new Queue(queueName, { connection });
  await queue.waitUntilReady();
  say({ event: 'ready' });
  const jobs = number('jobs'), batch = number('batch'), rate = number('rate');
  while (await hear() === 'go') {
    const begun = cpu(), first = nowNs();
    let next = 0;
    if (rate > 0) {
      const from = performance.now();
      for (let i = 0; i < jobs; i++) {
        const wait = from + (i + 1) * 1000 / rate - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        await queue.add('noop', { payload: flags.payload === 'at ' ? flags.payload + nowNs() : flags.payload });
      }
    } else {
      const caller = async () => {
        for (;;) {
          const from = next;
          next += batch;
          if (from >= jobs) return;
          const count = Math.min(batch, jobs - from);
          if (count === 1) await queue.add('noop', { payload: flags.payload });
          else await queue.addBulk(Array.from({ length: count }, () => ({ name: 'noop', data: { payload: flags.payload } })));
        }
      };
      await Promise.all(Array.from({ length: number('callers') }, caller));
    }
    say({ event: 'done', jobs, first: Number(first), last: Number(nowNs()), cpu: cpu() - begun });
  }
}

(role === 'worker' ? work() : submit()).catch((err) => { say({ event: 'failed', text: String(err?.stack ?? err) }); process.exit(1); });
