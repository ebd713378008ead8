// One v5 conformance kit (Cypress, ctk.json) without Cypress: the same requests and the same three checks for each.
// node cypress_kit.js KIT BASE OUT NOWHERE, with NODE_PATH where ajv, ajv-formats and yamljs are.
const fs = require("fs");
const path = require("path");
const { isDeepStrictEqual } = require("util");
const Ajv = require("ajv");
const addFormats = require("ajv-formats").default || require("ajv-formats");
const YAML = require("yamljs");

const [kit, base, out, nowhere] = process.argv.slice(2);
const nested = path.join(kit, "DO_NOT_CHANGE");
const inner = fs.existsSync(nested) ? nested : kit;
const json = (file) => JSON.parse(fs.readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
const tests = json(path.join(inner, "cypress/fixtures/ctk.json")).tests;
const given = [path.join(kit, "CHANGE_ME.json"), path.join(inner, "cypress/fixtures/config.json")].find(fs.existsSync);
const config = given ? json(given) : {};
const spec = path.join(inner, "cypress/e2e/production/ctk.cy.js");
// Later kits fill any placeholder from what was answered last, and join path and query with a slash.
const later = fs.existsSync(spec) && fs.readFileSync(spec, "utf8").includes("populate");

const described = YAML.parse(fs.readFileSync(path.join(inner, "oas.yaml"), "utf8"));
for (const schema of Object.values(described.components.schemas)) delete schema.discriminator;
const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
addFormats(ajv);
ajv.addSchema(described, "oas.json");

const last = {};
const filled = (text) => (text || "").replace(/\{(\w+)\}/g, (all, name) => {
  if (!later && name !== "id") return all;
  return last[name] === undefined ? all : last[name];
});
const pointed = (reference) => reference.split("#")[1].split("/").filter(Boolean)
  .reduce((node, key) => (node === undefined || node === null ? undefined : node[key]), config);
const local = (body) => (body && typeof body.callback === "string" ? { ...body, callback: nowhere } : body);
const each = (body) => (Array.isArray(body) ? body : [body]);

function address(test) {
  const query = filled(test.query);
  const joined = later && query ? `${filled(test.path)}/${query}` : filled(test.path) + query;
  return encodeURI(base.replace(/\/+$/, "") + joined.replace("/?", "?"));
}

const resource = (test) => test.path.split("/").filter(Boolean)[0];
const made = new Set(Object.values(tests).filter((test) => test.method === "POST").map(resource));

// What a kit only reads is there before: its placeholders are those of the first one.
async function known(name) {
  const answer = await fetch(`${base.replace(/\/+$/, "")}/${name}`, { headers: { Accept: "application/json" } });
  const found = answer.ok ? await answer.json() : [];
  return Array.isArray(found) && found.length ? found[0] : {};
}

async function main() {
  const assertions = [];
  let reading;
  for (const [number, test] of Object.entries(tests)) {
    const read = made.has(resource(test)) ? undefined : resource(test);
    if (read !== undefined && read !== reading) Object.assign(last, await known(read));
    reading = read;
    const request = `#${number} ${test.method} ${test.path}${test.query || ""}`;
    const check = (name, problem) => assertions.push({ request, name, error: problem || null });
    const sends = ["POST", "PATCH", "PUT"].includes(test.method);
    const body = sends && test.body ? JSON.stringify(local(pointed(test.body))) : undefined;
    const headers = { Accept: "application/json", ...(sends ? { "Content-Type": "application/json" } : {}), ...(config.headers || {}) };
    const answer = await fetch(address(test), { method: test.method, headers, body });
    const text = await answer.text();
    let found = text;
    try { found = JSON.parse(text); } catch { /* judged below */ }
    if (sends && found && typeof found === "object") Object.assign(last, found);
    check("status", test.statusCodes.includes(answer.status) ? "" : `${answer.status} is none of ${test.statusCodes}: ${text.slice(0, 200)}`);
    if (test.method !== "DELETE" && test.schemaRef) {
      const validate = ajv.compile({ $ref: `oas.json${test.schemaRef}` });
      const wrong = each(found).find((one) => !validate(one));
      if (wrong !== undefined) validate(wrong);
      check("schema", wrong === undefined ? "" : validate.errors.slice(0, 3).map((e) => `${e.instancePath} ${e.message}`).join("; "));
    }
    if (test.method === "GET") {
      const ours = Array.isArray(found) ? found.filter((one) => String(one.id) === String(last.id)) : [found];
      const wrong = ours.flatMap((one) => (test.mandatoryKeys || [])
        .filter((key) => !isDeepStrictEqual(one[key], last[key]))
        .map((key) => `${key} is ${JSON.stringify(one[key])}, not ${JSON.stringify(last[key])}`));
      check("attributes", wrong.join("; "));
    }
  }
  fs.writeFileSync(out, JSON.stringify(assertions));
}

main().catch((error) => { console.error(error); process.exit(2); });
