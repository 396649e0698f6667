// A small app: says what it was given, without giving it away.
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const {
  IEXEC_IN = "/iexec_in",
  IEXEC_OUT = "/iexec_out",
  // Whoever runs the app never sees these values. Never print them: the output becomes part of the result.
  IEXEC_APP_DEVELOPER_SECRET: developerSecret,
  IEXEC_REQUESTER_SECRET_1: requesterSecret,
  // Set without a dataset too: then there is no such file.
  IEXEC_DATASET_FILENAME: filename = "none",
} = process.env;

const lines = [
  `Hello, ${process.argv.slice(2).join(" ") || "world"}!`,
  `developer's secret: ${developerSecret ? "given" : "not given"}`,
  `requester's secret 1: ${requesterSecret ? "given" : "not given"}`,
];
const dataset = join(IEXEC_IN, filename);
if (existsSync(dataset)) {
  lines.push(`dataset: ${statSync(dataset).size} bytes`);
}

const result = join(IEXEC_OUT, "result.txt");
writeFileSync(result, `${lines.join("\n")}\n`);
writeFileSync(join(IEXEC_OUT, "computed.json"), JSON.stringify({ "deterministic-output-path": result }));
