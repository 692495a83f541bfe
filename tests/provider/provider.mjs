// A force's identity provider, on loopback: anybody may sign in as anybody.
// Usage: node provider.mjs PATH; sends people back to PATH on any port of this machine (RFC 8252,
// 7.3). It prints its issuer, and ends with its standard input.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const back = { redirect_uris: [`http://127.0.0.1${process.argv[2]}`], application_type: "native" };
const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const roles = { agroup: ["bl-auditors", "bl-custodians", "canteen"], outsider: ["canteen"] };
const provider = new Provider(issuer, {
  clients: [
    { client_id: "console", client_secret: "a secret of some length: +/=%", ...back },
    { client_id: "public", token_endpoint_auth_method: "none", ...back },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username", "name"], groups: ["groups"], email: ["email", "email_verified"] },
  // As most providers do it: what they say of somebody is asked for, and stands not in the token.
  conformIdTokenClaims: true,
  acrValues: ["urn:force:two-factors"],
  pkce: { required: () => true },
  cookies: { keys: ["for this test only"] },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: `id-of-${id}`,
      preferred_username: id,
      name: `${id} Provided`,
      groups: roles[id],
      email: `${id}@force.example`,
      email_verified: id === "acustodian",
    }),
  }),
});
server.on("request", provider.callback());
console.log(issuer);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
