/** Questions about users and what they may do. Nothing is stored. Everybody who is known may do everything. */
import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import { userOfToken, type TokenUsers } from '../http/authenticate.js';
import { defaultAudience } from '../http/tokens.js';
import { at, fieldsOf, listOf, textOf, type Fields } from '../kube-object.js';
import type { User } from '../resources/resource.js';
import { methodNotAllowed } from '../status-error.js';

interface Review {
  group: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  answer(api: Api, tokens: TokenUsers, user: User, body: Fields): Fields;
}

const allowed: Review['answer'] = () => ({
  allowed: true,
  reason: 'the local test cluster allows everything',
});

function reviews(): Review[] {
  const authorization = 'authorization.k8s.io';
  const authentication = 'authentication.k8s.io';
  return [
    {
      group: authentication,
      plural: 'tokenreviews',
      kind: 'TokenReview',
      namespaced: false,
      answer: reviewToken,
    },
    {
      group: authentication,
      plural: 'selfsubjectreviews',
      kind: 'SelfSubjectReview',
      namespaced: false,
      answer: (_api, _tokens, user) => ({ userInfo: userInfo(user) }),
    },
    {
      group: authorization,
      plural: 'subjectaccessreviews',
      kind: 'SubjectAccessReview',
      namespaced: false,
      answer: allowed,
    },
    {
      group: authorization,
      plural: 'selfsubjectaccessreviews',
      kind: 'SelfSubjectAccessReview',
      namespaced: false,
      answer: allowed,
    },
    {
      group: authorization,
      plural: 'localsubjectaccessreviews',
      kind: 'LocalSubjectAccessReview',
      namespaced: true,
      answer: allowed,
    },
    {
      group: authorization,
      plural: 'selfsubjectrulesreviews',
      kind: 'SelfSubjectRulesReview',
      namespaced: false,
      answer: () => ({
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        incomplete: false,
      }),
    },
  ];
}

export const reviewResources: readonly Review[] = reviews();

function reviewToken(api: Api, tokens: TokenUsers, _user: User, body: Fields): Fields {
  const token = textOf(at(body['spec'], 'token'));
  const user = userOfToken(api, tokens, token);
  if (!user) return { authenticated: false, error: 'invalid bearer token' };
  const wanted = listOf(at(body['spec'], 'audiences')).map(String);
  const granted = api.tokens.verify(token)?.aud ?? [defaultAudience];
  const audiences = wanted.length === 0 ? granted : granted.filter((audience) => wanted.includes(audience));
  if (audiences.length === 0) {
    return {
      authenticated: false,
      error: `token audiences ${JSON.stringify(granted)} is invalid for the target audiences ${JSON.stringify(wanted)}`,
    };
  }
  return { authenticated: true, user: userInfo(user), audiences };
}

function userInfo(user: User): Fields {
  const { username, uid, groups, extra } = user;
  return { username, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}

export async function handleReview(
  api: Api,
  tokens: TokenUsers,
  exchange: Exchange,
  review: Review,
): Promise<void> {
  if (exchange.method !== 'POST') throw methodNotAllowed();
  const body = fieldsOf(await exchange.readObject());
  exchange.sendJson(
    201,
    JSON.stringify({
      kind: review.kind,
      apiVersion: `${review.group}/v1`,
      metadata: fieldsOf(body['metadata']),
      spec: body['spec'] ?? {},
      status: review.answer(api, tokens, exchange.user, body),
    }),
  );
}
