// The conservation proof over HTTP: the key that it is verified by, for anybody, and a sale's proof, for administrators.
import { createRequire } from "node:module";
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import { recordAudit } from "../../engine/ledger/audit.ts";
import { exportPublicKey, type SigningKey } from "../../engine/proof/key.ts";
import { proveSale } from "../../engine/proof/prove.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer, SECURITY_HEADERS } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";

const TAG = "Operations";
const { version } = createRequire(import.meta.url)("onrush/package.json") as { version: string };

const proofKeySchema = z
  .object({
    keyId: z.string().openapi({ description: "The first 128 bits of the SHA-256 of the key's SPKI form, hexadecimal" }),
    algorithm: z.literal("Ed25519"),
    publicKey: z.string().openapi({ description: "PEM" }),
  })
  .openapi("ProofKey");
const proofSchema = z
  .object({ proof: z.looseObject({ format: z.string(), keyId: z.string() }), signature: z.string() })
  .openapi("ConservationProof");

export function proofRoutes(edge: Edge, { engine, pool, redis, proofKey }: ApiDependencies): void {
  const keyOrRefusal = (): SigningKey => {
    if (proofKey) return proofKey;
    throw new OnrushError("NOT_FOUND", "This shop has no key to sign proofs with (PROOF_SIGNING_KEY).");
  };

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/proof-key",
      summary: "The key that conservation proofs are verified by",
      description: "`onrush stock verify FILE --key ANSWER` takes this answer as it is.",
      tag: TAG,
      access: "public",
      answers: { 200: { description: "The public key", schema: proofKeySchema } },
      refusals: ["NOT_FOUND"],
    },
    () => {
      const { publicKey } = keyOrRefusal();
      return jsonAnswer({ keyId: publicKey.id, algorithm: "Ed25519", publicKey: exportPublicKey(publicKey) });
    },
  );

  // It reads every order of a sale: one at a time is what a process has to spare.
  let isProving = false;
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/sales/{id}/proof",
      summary: "Prove a sale",
      description:
        "A signed proof that every unit and payment of the sale is accounted for, in its canonical form: `onrush stock " +
        "verify` takes it byte by byte. Takes seconds for a sale of 100,000 orders; one at a time per process.",
      tag: TAG,
      access: "admin",
      answers: { 200: { description: "The proof", schema: proofSchema } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => {
      const key = keyOrRefusal();
      if (isProving) throw new OnrushError("OVERLOADED", "Another proof is being made.", { retryAfter: 5 });
      isProving = true;
      try {
        const saleId = c.req.param("id") ?? "";
        const { proof, text } = await proveSale({ pool, redis, stock: engine.stock, key, version }, saleId);
        const after = { at: proof.at.postgres, keyId: proof.keyId, orders: proof.orders };
        await recordAudit(pool, { actor: caller.customerId, action: "stock.prove", subject: `sale:${saleId}`, after });
        return new Response(text, { headers: { ...SECURITY_HEADERS, "content-type": "application/json" } });
      } finally {
        isProving = false;
      }
    },
  );
}
