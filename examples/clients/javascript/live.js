// Publishes reports and prints what comes of them: node live.js [REPORTS [MODEL]]
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";

const [reports = "examples/reports.jsonl", model = "shop-javascript"] = process.argv.slice(2);
const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
const js = jetstream(nc);

for (const line of readFileSync(reports, "utf8").trim().split("\n")) {
  const json = headers();
  json.set("Content-Type", "application/json");
  await js.publish(`retune.metrics.${model}`, line, { headers: json });
}

console.log("retrain:", (await first(`retune.retrain.${model}.*`, DeliverPolicy.All)).reason);
const answer = await first(`retune.config.${model}.live`, DeliverPolicy.LastPerSubject);
console.log("live config:", JSON.stringify(answer.config));
await nc.close();

// The first output that the stream has on the subject, or will have.
async function first(subject, deliver_policy) {
  const consumer = await js.consumers.get("KV_retune", { filter_subjects: subject, deliver_policy });
  const message = await consumer.next({ expires: 30_000 });
  await consumer.delete();
  return body(message);
}

function body(message) {
  return message.headers.get("Content-Type") === "application/json" ? message.json() : decode(message.data);
}
