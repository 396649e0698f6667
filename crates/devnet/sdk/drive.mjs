// Lets a test call the stock iExec SDK: one request per line on standard input, one answer per line on standard output.
//
// Request: {"package": "iexec" or "iexec-8", "rpcUrl", "hub", "smsUrl", "marketUrl", "storageUrl", "compassUrl" (each or null),
//           "privateKey", "call": "app.pushAppSecret", "arguments": [...]}
// An argument {"base64": "..."} stands for bytes, and so does a Uint8Array or ArrayBuffer in an answer.
// Answer:  {"value": ...} or {"error": "what the SDK threw"}

import { createInterface } from 'node:readline';

const bytesIn = (value) => (typeof value?.base64 === 'string' ? new Uint8Array(Buffer.from(value.base64, 'base64')) : value);

const bytesOut = (value) => {
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    return { base64: Buffer.from(value).toString('base64') };
  }
  return value;
};

async function answer({ package: name, call, arguments: args, ...where }) {
  const { rpcUrl, hub, smsUrl, marketUrl, storageUrl, compassUrl, privateKey } = where;
  const { IExec, utils } = await import(name);
  // A new provider each time: it would remember nonces for a while, and reuse them.
  const signer = utils.getSignerFromPrivateKey(rpcUrl, privateKey);
  signer.provider.pollingInterval = 50; // milliseconds; the chain is on this machine
  const iexec = new IExec(
    { ethProvider: signer },
    {
      hubAddress: hub,
      smsURL: smsUrl ?? undefined,
      iexecGatewayURL: marketUrl ?? undefined,
      ipfsGatewayURL: storageUrl ?? undefined,
      ipfsNodeURL: storageUrl ?? undefined,
      compassURL: compassUrl ?? undefined,
    },
  );
  const [module, method] = call.split('.');
  try {
    return bytesOut(await iexec[module][method](...args.map(bytesIn)));
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
