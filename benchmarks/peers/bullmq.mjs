// BullMQ on Node: `node bullmq.mjs work`, or `produce one|bulk|picks <number>`, which prints a JSON object.
import { Queue, Worker } from 'bullmq';
import Redis from 'ioredis';

const connection = { host: '127.0.0.1', port: Number(process.env.PEERS_PORT), maxRetriesPerRequest: null };
const now = () => performance.timeOrigin + performance.now();
const options = (id) => ({
  attempts: 4, backoff: { type: 'exponential', delay: 5000 }, deduplication: { id },
  removeOnComplete: { age: 604800 }, removeOnFail: { age: 2592000 },
});
const job = (id, extra = {}) => ({ name: 'sync', data: { connectionId: id, ...extra }, opts: options(id) });

if (process.argv[2] === 'work') {
  const redis = new Redis(connection);
  const worker = new Worker('peers', async (job) => {
    if (job.data.sent) await redis.rpush('peers:waits', now() - job.data.sent);
    for (const [percent, stage] of [[0, 'starting'], [25, 'syncing_accounts'], [50, 'syncing_transactions'], [90, 'finalizing'], [100, 'completed']]) {
      await job.updateProgress({ stage, message: stage, percent });
    }
    return { connectionId: job.data.connectionId, success: true, accountsSynced: 0, transactionsSynced: 0 };
  }, { connection, concurrency: 10 });
  await worker.waitUntilReady();
  console.log('ready');
} else {
  const [kind, number] = [process.argv[3], Number(process.argv[4])];
  const queue = new Queue('peers', { connection });
  await queue.waitUntilReady();
  const began = now();
  if (kind === 'bulk') {
    for (let at = 0; at < number; at += 1000) {
      await queue.addBulk(Array.from({ length: Math.min(1000, number - at) }, (_, n) => job(`b${at + n}`)));
    }
  } else {
    for (let n = 0; n < number; n += 1) {
      const { name, data, opts } = job(`${kind}${n}`, kind === 'picks' ? { sent: now() } : {});
      await queue.add(name, data, opts);
      if (kind === 'picks') await new Promise((done) => setTimeout(done, 20 + 30 * Math.random()));
    }
  }
  console.log(JSON.stringify({ seconds: (now() - began) / 1000 }));
  await queue.close();
  process.exit(0);
}
