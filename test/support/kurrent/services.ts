import gossipGrpc from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import type { ClusterInfo } from '@eventstore/db-client/generated/gossip_pb.js';
import gossipPb from '@eventstore/db-client/generated/gossip_pb.js';
import featuresGrpc from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js';
import featuresPb from '@eventstore/db-client/generated/serverfeatures_pb.js';
import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import type { Empty } from '@eventstore/db-client/generated/shared_pb.js';
import streamsGrpc from '@eventstore/db-client/generated/streams_grpc_pb.js';
import { type sendUnaryData, Server, type ServerUnaryCall } from '@grpc/grpc-js';
import { append, deleteStream, tombstone } from './append.ts';
import { BatchAppendCall } from './batch-append.ts';
import type { Operation } from './faults.ts';
import type { KurrentNode, Member } from './node.ts';
import { type ReadCall, read } from './read.ts';
import { notReady, timedOut, tooBusy } from './wire-errors.ts';
import type { ReadAnswer } from './wire-events.ts';

/* The services of one server, put together. */

/** How many calls a connection carries at a time: whoever subscribes more often than that waits for ever. */
const CALLS_MAX = 100;
/** What the real server takes as one message, in bytes. */
const MESSAGE_MAX = 16 * 1024 * 1024;

export function serverOf(node: KurrentNode): Server {
  const server = new Server({
    'grpc.max_concurrent_streams': CALLS_MAX,
    'grpc.max_receive_message_length': MESSAGE_MAX,
    'grpc.max_send_message_length': -1,
    'grpc.enable_channelz': 0,
  });
  const {
    batchAppend,
    read: readMethod,
    append: appendMethod,
    delete: deletion,
    tombstone: tombstoning,
  } = streamsGrpc.StreamsService;
  server.addService(
    {
      // Answers of Read come as bytes already.
      read: { ...readMethod, responseSerialize: (answer: ReadAnswer) => answer },
      append: appendMethod,
      delete: deletion,
      tombstone: tombstoning,
      ...(node.batchAppend && { batchAppend }),
    },
    {
      read: (call: ReadCall) => read(node, call),
      append: (call: Parameters<typeof append>[1], callback: Parameters<typeof append>[2]) => append(node, call, callback),
      delete: (call: Parameters<typeof deleteStream>[1], callback: Parameters<typeof deleteStream>[2]) =>
        deleteStream(node, call, callback),
      tombstone: (call: Parameters<typeof tombstone>[1], callback: Parameters<typeof tombstone>[2]) =>
        tombstone(node, call, callback),
      ...(node.batchAppend && {
        batchAppend: (call: ConstructorParameters<typeof BatchAppendCall>[1]) => void new BatchAppendCall(node, call),
      }),
    },
  );
  server.addService(featuresGrpc.ServerFeaturesService, {
    getSupportedMethods: (call: ServerUnaryCall<Empty, SupportedMethods>, callback: sendUnaryData<SupportedMethods>) =>
      answer(node, 'features', call, callback, () => supportedMethods(node)),
  });
  server.addService(gossipGrpc.GossipService, {
    read: (call: ServerUnaryCall<Empty, ClusterInfo>, callback: sendUnaryData<ClusterInfo>) =>
      answer(node, 'gossip', call, callback, () => gossip(node.members())),
  });
  return server;
}

/** A call without arguments, with the faults that lie in wait for it. */
function answer<Answer>(
  node: KurrentNode,
  operation: Operation,
  call: ServerUnaryCall<Empty, Answer>,
  callback: sendUnaryData<Answer>,
  say: () => Answer,
): void {
  node.faults.whenThawed(() => {
    const fault = node.faults.take(operation, '');
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'drop' || fault?.kind === 'lose-answer') node.sockets.drop(call.getPeer());
    else if (fault?.kind === 'busy') callback(tooBusy());
    else if (fault?.kind === 'not-ready') callback(notReady());
    else if (fault?.kind === 'timeout') callback(timedOut('Read timed out.'));
    else if (fault?.kind === 'late') setTimeout(() => callback(null, say()), fault.milliseconds).unref();
    else callback(null, say());
  });
}

type Method = readonly [service: string, name: string, features: string[]];

const STREAMS = 'event_store.client.streams.streams';

function supportedMethods(node: KurrentNode): SupportedMethods {
  const batchAppend: Method = [STREAMS, 'batchappend', ['deadline_duration']];
  const methods: readonly Method[] = [
    [STREAMS, 'read', ['position', 'events']],
    [STREAMS, 'append', []],
    [STREAMS, 'delete', []],
    [STREAMS, 'tombstone', []],
    ...(node.batchAppend ? [batchAppend] : []),
    ['event_store.client.gossip.gossip', 'read', []],
    ['event_store.client.server_features.serverfeatures', 'getsupportedmethods', []],
  ];
  const supported = new featuresPb.SupportedMethods();
  supported.setEventStoreServerVersion(node.version);
  supported.setMethodsList(
    methods.map(([service, name, features]) => {
      const method = new featuresPb.SupportedMethod();
      method.setServiceName(service);
      method.setMethodName(name);
      method.setFeaturesList(features);
      return method;
    }),
  );
  return supported;
}

function gossip(members: readonly Member[]): ClusterInfo {
  const states = gossipPb.MemberInfo.VNodeState;
  const info = new gossipPb.ClusterInfo();
  info.setMembersList(
    members.map(({ id, endpoint, state, alive }) => {
      const member = new gossipPb.MemberInfo();
      const uuid = new sharedPb.UUID();
      uuid.setString(id);
      member.setInstanceId(uuid);
      member.setTimeStamp(String(BigInt(Date.now()) * 10_000n));
      member.setState({ leader: states.LEADER, follower: states.FOLLOWER, unknown: states.UNKNOWN }[state]);
      member.setIsAlive(alive);
      const address = new gossipPb.EndPoint();
      address.setAddress(endpoint.host);
      address.setPort(endpoint.port);
      member.setHttpEndPoint(address);
      return member;
    }),
  );
  return info;
}
