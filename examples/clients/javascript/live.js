// Publishes reports and prints what comes of them: node live.js [REPORTS [MODEL]]
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { jetstream } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";

const [reports = "examples/reports.jsonl", model = "shop-javascript"] = process.argv.slice(2);
const trainer = await connect(options(process.env.NATS_URL ?? "nats://127.0.0.1:4222"));
const subscriber = process.env.NATS_SUBSCRIBER_URL ? await connect(options(process.env.NATS_SUBSCRIBER_URL)) : trainer;

const events = subscriber.subscribe(`retune.retrain.${model}.*`, { max: 1, timeout: 60_000 });
await subscriber.flush();

const js = jetstream(trainer);
for (const line of readFileSync(reports, "utf8").trim().split("\n")) {
  const json = headers();
  json.set("Content-Type", "application/json");
  await js.publish(`retune.metrics.${model}`, line, { headers: json });
}

for await (const event of events) console.log("retrain:", body(event).reason);
const newest = await trainer.request(`$JS.API.DIRECT.GET.KV_retune.retune.config.${model}.live`);
if (newest.headers.code === 404) throw new Error(`no live config of ${model}: has the worker a tuner for it?`);
console.log("live config:", JSON.stringify(body(newest).config));
await subscriber.close();
await trainer.close();

// Of addresses such as nats://user:password@a:4222,nats://user:password@b:4222, where connect takes neither user nor
// password.
function options(urls) {
  const addresses = urls.split(",").map((url) => new URL(url.includes("://") ? url.trim() : `nats://${url.trim()}`));
  const [user, pass] = [addresses[0].username, addresses[0].password].map(decodeURIComponent);
  return { servers: addresses.map(({ host }) => host), ...(user && { user, pass }) };
}

function body(message) {
  return message.headers.get("Content-Type") === "application/json" ? message.json() : decode(message.data);
}
