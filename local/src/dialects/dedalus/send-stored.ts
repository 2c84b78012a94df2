/** Sends an answer that was stored with its change, byte for byte the same for every retry. */
import type { FastifyReply } from "fastify";
import type { StoredAnswer } from "../../engine/control-plane";

export const sendStored = (reply: FastifyReply, answer: StoredAnswer): FastifyReply =>
  reply.code(answer.status).headers(answer.headers).send(answer.body);
