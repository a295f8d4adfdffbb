/**
 * The engine's gRPC protocol over a Provider. @pulumi/pulumi's own `provider.main` does not carry what is needed here:
 * previews of create and update, the earlier inputs, single property changes, checks of the provider's configuration.
 */
import { createRequire } from "node:module";
import * as grpc from "@grpc/grpc-js";
import anyProto from "google-protobuf/google/protobuf/any_pb.js";
import emptyProto from "google-protobuf/google/protobuf/empty_pb.js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import proto from "@pulumi/pulumi/proto/provider_pb.js";
import type * as Proto from "@pulumi/pulumi/proto/provider_pb.js";
import statusProto from "@pulumi/pulumi/proto/status_pb.js";
import type { Change } from "./diff.ts";
import { checkConfiguration, PartialFailure } from "./provider.ts";
import type { Provider } from "./provider.ts";
import type { Failure, Values } from "./schema.ts";

const { ResourceProviderService } = createRequire(import.meta.url)(
  "@pulumi/pulumi/proto/provider_grpc_pb.js",
) as {
  ResourceProviderService: grpc.ServiceDefinition;
};

const MAX_MESSAGE_BYTES = 400 * 1024 * 1024; // what the engine allows
const VERSION = "7.48.0"; // of the @pulumi/aws SDK whose resources are served

const values = (struct: Struct | undefined): Values => struct?.toJavaScript() ?? {};
type StructValues = Parameters<typeof structProto.Struct.fromJavaScript>[0];
/** By way of JSON, which drops members that are undefined. */
const struct = (of: Values): Struct =>
  structProto.Struct.fromJavaScript(JSON.parse(JSON.stringify(of)) as StructValues);

const failureList = (failures: Failure[]): Proto.CheckFailure[] =>
  failures.map(({ property, reason }) => {
    const failure = new proto.CheckFailure();
    failure.setProperty(property);
    failure.setReason(reason);
    return failure;
  });

function checkResponse({ inputs, failures }: { inputs: Values; failures: Failure[] }): Proto.CheckResponse {
  const response = new proto.CheckResponse();
  response.setInputs(struct(inputs));
  response.setFailuresList(failureList(failures));
  return response;
}

const KINDS = {
  add: [proto.PropertyDiff.Kind.ADD, proto.PropertyDiff.Kind.ADD_REPLACE],
  update: [proto.PropertyDiff.Kind.UPDATE, proto.PropertyDiff.Kind.UPDATE_REPLACE],
  delete: [proto.PropertyDiff.Kind.DELETE, proto.PropertyDiff.Kind.DELETE_REPLACE],
} as const;

function propertyDiff({ kind, replaces }: Change): Proto.PropertyDiff {
  const diff = new proto.PropertyDiff();
  diff.setKind(KINDS[kind][replaces ? 1 : 0]);
  return diff;
}

/** The engine keeps the resource, with its id and the reasons, when an error carries these details. */
function wireError(error: unknown): Partial<grpc.StatusObject> {
  const message = error instanceof Error ? error.message : String(error);
  const metadata = new grpc.Metadata();
  if (error instanceof PartialFailure) {
    const detail = new proto.ErrorResourceInitFailed();
    detail.setId(error.id);
    detail.setProperties(struct(error.state));
    detail.setReasonsList([message]);
    const any = new anyProto.Any();
    any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const status = new statusProto.Status();
    status.setCode(grpc.status.UNKNOWN);
    status.setMessage(message);
    status.addDetails(any);
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return { code: grpc.status.UNKNOWN, details: message, metadata };
}

export interface Running {
  port: number;
  /** Calls that have not been answered yet. */
  inFlight(): number;
}

/** Serves the provider on a free loopback port. */
export async function serve(provider: Provider): Promise<Running> {
  let open = 0;
  const answer =
    <Request, Response>(
      handle: (request: Request) => Response | Promise<Response>,
    ): grpc.handleUnaryCall<Request, Response> =>
    (call, callback) => {
      open++;
      Promise.resolve(call.request)
        .then(handle)
        .then(
          (response) => callback(null, response),
          (error: unknown) => callback(wireError(error)),
        )
        .finally(() => open--)
        .catch((error: unknown) => console.error(error));
    };

  const service: grpc.UntypedServiceImplementation = {
    checkConfig: answer((q: Proto.CheckRequest) => checkResponse(checkConfiguration(values(q.getNews())))),
    diffConfig: answer((_: Proto.DiffRequest) => {
      const response = new proto.DiffResponse();
      response.setChanges(proto.DiffResponse.DiffChanges.DIFF_UNKNOWN); // the engine compares the inputs itself
      return response;
    }),
    configure: answer((q: Proto.ConfigureRequest) => {
      provider.configure(values(q.getArgs()));
      const response = new proto.ConfigureResponse();
      response.setSupportspreview(true);
      response.setAcceptsecrets(false); // the engine then marks outputs secret whose inputs are
      return response;
    }),
    check: answer((q: Proto.CheckRequest) =>
      checkResponse(
        provider.check(q.getUrn(), values(q.getOlds()), values(q.getNews()), q.getRandomseed_asU8()),
      ),
    ),
    diff: answer((q: Proto.DiffRequest) => {
      const diff = provider.diff(
        q.getUrn(),
        values(q.getOldInputs()),
        values(q.getOlds()),
        values(q.getNews()),
      );
      const response = new proto.DiffResponse();
      const { DIFF_SOME, DIFF_NONE } = proto.DiffResponse.DiffChanges;
      response.setChanges(diff.changes.length > 0 ? DIFF_SOME : DIFF_NONE);
      response.setDiffsList(diff.changes.map((c) => c.path.split(".")[0] ?? c.path));
      response.setReplacesList(diff.replaces);
      response.setDeletebeforereplace(diff.deleteBeforeReplace);
      response.setHasdetaileddiff(true);
      for (const change of diff.changes) response.getDetaileddiffMap().set(change.path, propertyDiff(change));
      return response;
    }),
    create: answer(async (q: Proto.CreateRequest) => {
      const response = new proto.CreateResponse();
      const inputs = values(q.getProperties());
      if (q.getPreview()) {
        response.setProperties(struct(provider.previewCreate(q.getUrn(), inputs)));
        return response;
      }
      const { id, state } = await provider.create(q.getUrn(), inputs, q.getTimeout());
      response.setId(id);
      response.setProperties(struct(state));
      return response;
    }),
    read: answer(async (q: Proto.ReadRequest) => {
      const response = new proto.ReadResponse();
      const found = await provider.read(q.getUrn(), q.getId(), values(q.getInputs()));
      if (!found) return response; // no id: the object is gone
      response.setId(found.id);
      response.setProperties(struct(found.state));
      response.setInputs(struct(found.inputs));
      return response;
    }),
    update: answer(async (q: Proto.UpdateRequest) => {
      const [oldInputs, olds, news] = [values(q.getOldInputs()), values(q.getOlds()), values(q.getNews())];
      const state = q.getPreview()
        ? provider.previewUpdate(q.getUrn(), oldInputs, olds, news)
        : await provider.update(q.getUrn(), q.getId(), oldInputs, olds, news, q.getTimeout());
      const response = new proto.UpdateResponse();
      response.setProperties(struct(state));
      return response;
    }),
    delete: answer(async (q: Proto.DeleteRequest) => {
      await provider.delete(q.getUrn(), q.getId(), values(q.getOldInputs()), q.getTimeout());
      return new emptyProto.Empty();
    }),
    invoke: answer(async (q: Proto.InvokeRequest) => {
      const { result, failures } = await provider.invoke(q.getTok(), values(q.getArgs()));
      const response = new proto.InvokeResponse();
      response.setReturn(struct(result));
      response.setFailuresList(failureList(failures));
      return response;
    }),
    cancel: answer((_: unknown) => {
      provider.cancel();
      return new emptyProto.Empty();
    }),
    attach: answer((_: unknown) => new emptyProto.Empty()),
    getSchema: answer((_: unknown) => {
      const response = new proto.GetSchemaResponse();
      response.setSchema(JSON.stringify({ name: "aws", version: VERSION }));
      return response;
    }),
    getPluginInfo: answer((_: unknown) => {
      const response = new plugin.PluginInfo();
      response.setVersion(VERSION);
      return response;
    }),
  };

  const server = new grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  });
  server.addService(ResourceProviderService, service); // methods left out answer UNIMPLEMENTED
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, inFlight: () => open };
}
