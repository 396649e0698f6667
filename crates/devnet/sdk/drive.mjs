// Lets a test call the stock iExec SDK: one request per line on standard input, one answer per line on standard output.
//
// Request: {"package": "iexec" or "iexec-8", "rpcUrl", "hub", "smsUrl" or null, "privateKey",
//           "call": "app.pushAppSecret", "arguments": [...]}
// Answer:  {"value": ...} or {"error": "what the SDK threw"}

import { createInterface } from 'node:readline';

async function answer({ package: name, rpcUrl, hub, smsUrl, privateKey, call, arguments: args }) {
  const { IExec, utils } = await import(name);
  // A new provider each time: it would remember nonces for a while, and reuse them.
  const signer = utils.getSignerFromPrivateKey(rpcUrl, privateKey);
  signer.provider.pollingInterval = 50; // milliseconds; the chain is on this machine
  const iexec = new IExec({ ethProvider: signer }, { hubAddress: hub, smsURL: smsUrl ?? undefined });
  const [module, method] = call.split('.');
  try {
    return await iexec[module][method](...args);
  } finally {
    signer.provider.destroy();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let result;
  try {
    result = { value: (await answer(JSON.parse(line))) ?? null };
  } catch (error) {
    const causes = [];
    for (let cause = error; cause; cause = cause.cause ?? cause.originalError) {
      causes.push(cause.message ?? String(cause));
    }
    result = { error: causes.join(': ') };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
