// Pairs of npm's `advisory-lock`: see script.rs.
const readline = require("readline");

let advisoryLock, version;
try {
  advisoryLock = require("advisory-lock").default;
  version = require("advisory-lock/package.json").version;
} catch (error) {
  console.log(error.message.split("\n")[0]);
  process.exit();
}

const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
const url = `postgres://${PGUSER}@${encodeURIComponent(PGHOST)}:${PGPORT}/${PGDATABASE}`;
const mutex = advisoryLock(url);

async function main() {
  console.log(`ready advisory-lock ${version} (Node ${process.versions.node})`);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const micros = [];
    for (let key = 1; key <= Number(line); key++) {
      const start = process.hrtime.bigint();
      const unlock = await mutex(`key ${key}`).lock();
      await unlock();
      micros.push(Number(process.hrtime.bigint() - start) / 1e3);
    }
    console.log(micros.join(" "));
  }
}

main();
