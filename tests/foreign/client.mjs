// A Matrix client on matrix-js-sdk, as its own process: one JSON object a line, in and out.
// Never prints anything else on stdout, and never shares code or keys with the bot.
//
// In:   {"id": 1, "do": "send", ...}      see COMMANDS
// Out:  {"id": 1, "ok": value} or {"id": 1, "error": "sentence"}
//       {"event": {...}}                  a timeline or state event; again when it becomes readable
import { createInterface } from "node:readline";
import { webcrypto } from "node:crypto";
import * as sdk from "matrix-js-sdk";
import {
  AllDevicesIsolationMode,
  OnlySignedDevicesIsolationMode,
  decodeRecoveryKey,
} from "matrix-js-sdk/lib/crypto-api/index.js";
import { logger } from "matrix-js-sdk/lib/logger.js";

const SHIELDS = ["none", "grey", "red"];
const SYNC_LIMIT = 100;

logger.setLevel("silent");
for (const name of ["log", "info", "warn", "error", "debug", "trace"]) {
  console[name] = (...words) => process.stderr.write(`${words.map(String).join(" ")}\n`);
}
const out = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
process.on("unhandledRejection", (reason) => console.error("unhandled", reason?.stack ?? reason));

let client, crypto, account;
const storageKeys = new Map();
/** Transaction → the event that came back for it by sync. */
const echoes = new Map();
let reachable = true;
const reach = (...request) =>
  reachable ? fetch(...request) : Promise.reject(new TypeError("no network"));

// ------------------------------------------------------------------------------- what is seen

async function report(event) {
  if (!event.getRoomId() || !event.getId()) return;
  if (event.isEncrypted()) {
    await client.decryptEventIfNeeded(event).catch(() => {});
    if (event.isDecryptionFailure()) {
      event.once(sdk.MatrixEventEvent.Decrypted, () => report(event));
    }
  }
  const failed = event.isDecryptionFailure();
  const info = event.isEncrypted() ? await crypto.getEncryptionInfoForEvent(event) : null;
  out({
    event: {
      id: event.getId(),
      room: event.getRoomId(),
      type: event.getType(),
      sender: event.getSender(),
      sent_at: event.getTs(),
      content: failed ? {} : event.getOriginalContent(),
      encrypted: event.isEncrypted(),
      state: event.isState(),
      redacts: event.isRedaction() ? event.getAssociatedId() : undefined,
      failure: failed ? event.decryptionFailureReason : undefined,
      shield: info ? SHIELDS[info.shieldColour] : undefined,
    },
  });
}

/** Everything that the SDK would draw in a room: main timeline and threads, edits applied. */
function drawn(room) {
  const events = [
    ...room.getLiveTimeline().getEvents(),
    ...room.getThreads().flatMap((thread) => thread.events),
  ];
  return events.map((event) => ({
    id: event.getId(),
    type: event.getType(),
    content: event.getContent(),
    wire: event.getWireContent(),
    redacted: event.isRedacted(),
    reason: event.getRedactionEvent()?.content?.reason,
  }));
}

// --------------------------------------------------------------------------------- attachments

const base64 = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

/** Encrypt as Matrix attachments are: AES-256-CTR, the counter in the last 8 bytes of the IV. */
async function seal(plain) {
  const iv = new Uint8Array(16);
  webcrypto.getRandomValues(iv.subarray(0, 8));
  const algorithm = { name: "AES-CTR", counter: iv, length: 64 };
  const key = await webcrypto.subtle.generateKey({ name: "AES-CTR", length: 256 }, true, [
    "encrypt",
    "decrypt",
  ]);
  const sealed = await webcrypto.subtle.encrypt(algorithm, key, plain);
  const file = {
    v: "v2",
    key: await webcrypto.subtle.exportKey("jwk", key),
    iv: base64(iv),
    hashes: { sha256: base64(await webcrypto.subtle.digest("SHA-256", sealed)) },
  };
  return { sealed: Buffer.from(sealed), file };
}

async function unseal(sealed, file) {
  const digest = base64(await webcrypto.subtle.digest("SHA-256", sealed));
  if (digest !== file.hashes.sha256) throw new Error("the attachment has another hash");
  const key = await webcrypto.subtle.importKey("jwk", file.key, "AES-CTR", false, ["decrypt"]);
  const counter = Buffer.from(file.iv, "base64");
  return webcrypto.subtle.decrypt({ name: "AES-CTR", counter, length: 64 }, key, sealed);
}

// ------------------------------------------------------------------------------------ commands

/** Wait until the server says, and this client knows, that its device is signed. */
async function signed() {
  const user = client.getUserId();
  for (const end = Date.now() + 120_000; Date.now() < end; ) {
    await crypto.getUserDeviceInfo([user], true);
    const status = await crypto.getDeviceVerificationStatus(user, client.deviceId);
    if (status?.signedByOwner) return crypto.getCrossSigningKeyId();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("this device was signed, but does not know it");
}

const withPassword = (send) =>
  send({
    type: "m.login.password",
    identifier: { type: "m.id.user", user: account.user },
    password: account.password,
  });

/**
 * The id of what was sent. When its echo overtakes the server's answer, the SDK calls an event of a
 * thread a failure, though it was sent: then the id is that of the echo.
 */
async function sent(sending, transaction) {
  try {
    return (await sending).event_id;
  } catch (problem) {
    if (!echoes.has(transaction)) throw problem;
    return echoes.get(transaction);
  }
}

const unsent = (room) =>
  client.getRoom(room).getLiveTimeline().getEvents()
    .filter((event) => event.status === sdk.EventStatus.NOT_SENT);

const COMMANDS = {
  /** Sign in on a new device (its keys are kept in memory) and begin to sync. */
  async signIn({ url, user, password, device, strict }) {
    account = { user, password };
    const session = await sdk.createClient({ baseUrl: url }).loginRequest({
      type: "m.login.password",
      identifier: { type: "m.id.user", user },
      password,
      initial_device_display_name: device,
    });
    client = sdk.createClient({
      baseUrl: url,
      accessToken: session.access_token,
      userId: session.user_id,
      deviceId: session.device_id,
      fetchFn: reach,
      cryptoCallbacks: {
        getSecretStorageKey: async ({ keys }) => {
          const known = Object.keys(keys).find((id) => storageKeys.has(id));
          if (known) return [known, storageKeys.get(known)];
          return storageKeys.has("any") ? [Object.keys(keys)[0], storageKeys.get("any")] : null;
        },
        cacheSecretStorageKey: (id, _info, key) => storageKeys.set(id, key),
      },
    });
    await client.initRustCrypto({ useIndexedDB: false });
    crypto = client.getCrypto();
    COMMANDS.isolate({ strict });
    client.on(sdk.ClientEvent.Event, report);
    client.on(sdk.RoomEvent.LocalEchoUpdated, (event) => {
      if (event.status === null) echoes.set(event.getTxnId(), event.getId());
    });
    client.on(sdk.RoomEvent.MyMembership, (room, membership) => {
      if (membership === "invite") {
        client.joinRoom(room.roomId).catch((problem) => console.error("join", problem.message));
      }
    });
    const synced = new Promise((resolve) =>
      client.on(sdk.ClientEvent.Sync, (state) => state === "PREPARED" && resolve()),
    );
    const filter = new sdk.Filter(session.user_id);
    filter.setTimelineLimit(SYNC_LIMIT);
    await client.startClient({ filter, initialSyncLimit: SYNC_LIMIT, threadSupport: true });
    await synced;
    return { user: session.user_id, device: session.device_id };
  },

  /** "Exclude insecure devices": no keys to, and no words from, devices that are not signed. */
  isolate({ strict }) {
    crypto.setDeviceIsolationMode(
      strict ? new OnlySignedDevicesIsolationMode() : new AllDevicesIsolationMode(false),
    );
  },

  /** Make a new cross-signing identity, in place of the old one if there is one. */
  async makeIdentity() {
    if (await client.secretStorage.hasKey()) {
      await crypto.resetEncryption(withPassword);
    } else {
      await crypto.bootstrapCrossSigning({
        setupNewCrossSigning: true,
        authUploadDeviceSigningKeys: withPassword,
      });
    }
    const key = await crypto.createRecoveryKeyFromPassphrase();
    await crypto.bootstrapSecretStorage({
      createSecretStorageKey: async () => key,
      setupNewSecretStorage: true,
    });
    return { master: await signed(), recovery: key.encodedPrivateKey };
  },

  /** Sign this device with the identity that lies in secret storage. */
  async recover({ recovery }) {
    storageKeys.set("any", decodeRecoveryKey(recovery));
    // The keys can only be taken in once it is known whose they are.
    await crypto.userHasCrossSigningKeys(client.getUserId(), true);
    await crypto.bootstrapCrossSigning({});
    return { master: await signed(), recovery };
  },

  async rooms() {
    return client.getRooms().filter((r) => r.getMyMembership() === "join").map((r) => r.roomId);
  },

  /** Send any event, encrypted where the SDK would; *rotate* discards the room's key first. */
  async send({ room, type = "m.room.message", content, rotate = false }) {
    if (rotate) await crypto.forceDiscardSession(room);
    const transaction = client.makeTxnId();
    return sent(client.sendEvent(room, type, content, transaction), transaction);
  },

  /** Lose the network, or have it back. */
  async network({ on }) {
    reachable = on;
  },

  /** Type messages without network; how many the SDK keeps, sealed, as not sent. */
  async queue({ room, texts }) {
    for (const body of texts) {
      await client.sendEvent(room, "m.room.message", { msgtype: "m.text", body }).catch(() => {});
    }
    return unsent(room).filter((event) => event.isEncrypted()).length;
  },

  /** Have what was not sent sent now, in its order, as Element does when it is back. */
  async resend({ room }) {
    const events = [];
    for (const event of unsent(room)) {
      const sending = client.resendEvent(event, client.getRoom(room));
      events.push(await sent(sending, event.getTxnId()));
    }
    return events;
  },

  /** Make an encrypted room whose past newcomers may read. */
  async createRoom() {
    const state = (type, content) => ({ type, state_key: "", content });
    const { room_id } = await client.createRoom({
      preset: "private_chat",
      initial_state: [
        state("m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }),
        state("m.room.history_visibility", { history_visibility: "shared" }),
      ],
    });
    while (!(await crypto.isEncryptionEnabledInRoom(room_id))) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return room_id;
  },

  /** Invite somebody; the SDK shares the room's past with them by itself (MSC4268). */
  async invite({ room, user }) {
    await client.invite(room, user);
  },

  /** Everything that this device has to read a session, as it would stand in an export. */
  async roomKey({ session }) {
    return (await crypto.exportRoomKeys()).find((key) => key.session_id === session) ?? null;
  },

  /** Our device's own keys. */
  async deviceKeys() {
    return crypto.getOwnDeviceKeys();
  },

  /** Encrypt anything to another device, and send it. */
  async toDevice({ user, device, type, content }) {
    const devices = [{ userId: user, deviceId: device }];
    await client.queueToDevice(await crypto.encryptToDeviceMessages(type, devices, content));
  },

  async join({ room }) {
    await client.joinRoom(room);
  },

  async leave({ room }) {
    await client.leave(room);
  },

  async redact({ room, event }) {
    const transaction = client.makeTxnId();
    return sent(client.redactEvent(room, event, transaction), transaction);
  },

  /** Upload encrypted; returns the `file` of a message. */
  async upload({ data, type }) {
    const { sealed, file } = await seal(Buffer.from(data, "base64"));
    const { content_uri } = await client.uploadContent(sealed, { type: "application/octet-stream" });
    return { ...file, url: content_uri, mimetype: type };
  },

  /** Upload in the clear; returns the mxc address. */
  async publish({ data, type }) {
    return (await client.uploadContent(Buffer.from(data, "base64"), { type })).content_uri;
  },

  /** Download what the `file` of a message names, and decrypt it. */
  async download({ file }) {
    const url = client.mxcUrlToHttp(file.url, undefined, undefined, undefined, false, true, true);
    const headers = { Authorization: `Bearer ${client.getAccessToken()}` };
    const answer = await fetch(url, { headers });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const sealed = Buffer.from(await answer.arrayBuffer()).toString("base64");
    return COMMANDS.unseal({ data: sealed, file });
  },

  /** Decrypt what was uploaded with the `file` of a message. */
  async unseal({ data, file }) {
    return Buffer.from(await unseal(Buffer.from(data, "base64"), file)).toString("base64");
  },

  async fetch({ room, event }) {
    return client.fetchRoomEvent(room, event);
  },

  async drawn({ room }) {
    return drawn(client.getRoom(room));
  },

  async signOut() {
    await client.logout(true);
  },

  async quit() {
    client?.stopClient();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, ...options } = JSON.parse(line);
  const answering = Promise.resolve()
    .then(() => COMMANDS[name](options))
    .then((ok) => out({ id, ok: ok ?? null }))
    .catch((problem) => out({ id, error: String(problem?.message ?? problem).slice(0, 500) }));
  if (name === "quit") {
    await answering;
    break;
  }
}
// Timers of the SDK would keep the process alive; what was printed leaves first.
process.stdout.write("", () => process.exit(0));
