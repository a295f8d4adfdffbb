/** The processes of a sandbox: command lines, what each waits for, and how its readiness shows. */
import { join } from "node:path";
import { certificatePaths } from "./certificates.ts";
import { apiUrl, controlPlaneFiles, kubeconfigPath } from "./files.ts";
import type { Launch } from "./processes.ts";
import type { SandboxState } from "./state.ts";

export const componentNames = [
  "etcd",
  "moto",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kwok",
  "machine-room",
] as const;
export type ComponentName = (typeof componentNames)[number];

export interface Component {
  name: ComponentName;
  after: ComponentName[];
  launch: Launch;
  /** Answers with a status of 2xx as soon as the component does its work. */
  readyUrl: string;
  readySeconds: number;
  /** Its state is only in memory: when it is gone, the sandbox starts over. */
  volatile: boolean;
}

export interface World {
  dir: string;
  repository: string;
  state: SandboxState;
  /** Environment handed on to the children. */
  env: NodeJS.ProcessEnv;
  /** Python of moto's virtual environment. */
  python: string;
}

export function components(world: World): Component[] {
  const { dir, state, repository } = world;
  const { ports } = state;
  const certs = certificatePaths(dir);
  const files = controlPlaneFiles(dir);
  const env: NodeJS.ProcessEnv = { PATH: world.env["PATH"], HOME: dir, SANDBOX_DIR: dir };
  const serving = [`--tls-cert-file=${certs.serverCert}`, `--tls-private-key-file=${certs.serverKey}`];
  const etcdUrl = `http://127.0.0.1:${ports.etcd}`;
  const etcdPeerUrl = `http://127.0.0.1:${ports.etcdPeer}`;
  const binary = (name: string): string => join(dir, "bin", name);
  const motoUrl = `http://127.0.0.1:${ports.moto}`;

  const make = (
    name: ComponentName,
    after: ComponentName[],
    command: string,
    args: string[],
    readyUrl: string,
    rest: { readySeconds?: number; volatile?: boolean; env?: NodeJS.ProcessEnv } = {},
  ): Component => ({
    name,
    after,
    launch: { name, command, args, env: { ...env, ...rest.env }, cwd: repository },
    readyUrl,
    readySeconds: rest.readySeconds ?? 120,
    volatile: rest.volatile ?? false,
  });

  return [
    make(
      "etcd",
      [],
      binary("etcd"),
      [
        "--name=sandbox",
        `--data-dir=${join(dir, "etcd")}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        `--listen-peer-urls=${etcdPeerUrl}`,
        `--initial-advertise-peer-urls=${etcdPeerUrl}`,
        `--initial-cluster=sandbox=${etcdPeerUrl}`,
        "--unsafe-no-fsync", // a sandbox need not survive a power cut
        "--log-level=warn",
      ],
      `${etcdUrl}/health`,
    ),
    make(
      "moto",
      [],
      world.python,
      [join(repository, "sandbox/moto/server.py"), "--host", "127.0.0.1", "--port", String(ports.moto)],
      `${motoUrl}/moto-api/config`,
      { volatile: true, env: { PYTHONDONTWRITEBYTECODE: "1" } },
    ),
    make(
      "kube-apiserver",
      ["etcd"],
      binary("kube-apiserver"),
      [
        `--etcd-servers=${etcdUrl}`,
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        `--secure-port=${ports.api}`,
        ...serving,
        `--client-ca-file=${certs.ca}`,
        `--token-auth-file=${files.tokens}`,
        `--authentication-token-webhook-config-file=${files.webhook}`,
        "--authentication-token-webhook-version=v1",
        "--authentication-token-webhook-cache-ttl=0s",
        "--authorization-mode=Node,RBAC",
        `--service-account-key-file=${certs.serviceAccountPublicKey}`,
        `--service-account-signing-key-file=${certs.serviceAccountKey}`,
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        // the endpoint of the `kubernetes` Service may not be a loopback address, and nobody here uses it
        "--endpoint-reconciler-type=none",
        `--audit-policy-file=${files.auditPolicy}`,
        `--audit-log-path=${files.auditLog}`,
        "--audit-log-mode=blocking", // a test reads the line as soon as the request is answered
      ],
      `${apiUrl(state)}/readyz`,
    ),
    make(
      "kube-controller-manager",
      ["kube-apiserver"],
      binary("kube-controller-manager"),
      [
        `--kubeconfig=${kubeconfigPath(dir, "kube-controller-manager")}`,
        `--service-account-private-key-file=${certs.serviceAccountKey}`,
        `--root-ca-file=${certs.ca}`,
        "--use-service-account-credentials=true", // each controller under its own name in the audit log
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        `--secure-port=${ports.controllerManager}`,
        ...serving,
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--attach-detach-reconcile-sync-period=1s",
        "--pvclaimbinder-sync-period=1s",
      ],
      `https://127.0.0.1:${ports.controllerManager}/healthz`,
    ),
    make(
      "kube-scheduler",
      ["kube-apiserver"],
      binary("kube-scheduler"),
      [
        `--kubeconfig=${kubeconfigPath(dir, "kube-scheduler")}`,
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        `--secure-port=${ports.scheduler}`,
        ...serving,
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
      ],
      `https://127.0.0.1:${ports.scheduler}/healthz`,
    ),
    make(
      "kwok",
      ["kube-apiserver"],
      binary("kwok"),
      [
        `--kubeconfig=${kubeconfigPath(dir, "kwok")}`,
        `--config=${files.kwokConfig}`,
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        "--cidr=10.128.0.0/14", // one pool for all pods of all Nodes
        `--server-address=127.0.0.1:${ports.kwok}`,
      ],
      `http://127.0.0.1:${ports.kwok}/healthz`,
    ),
    make(
      "machine-room",
      ["kube-apiserver", "moto"],
      process.execPath,
      [join(repository, "sandbox/machine-room/main.ts")],
      `http://127.0.0.1:${ports.machineRoom}/-/ready`,
      {
        env: {
          ...state.knobs,
          MACHINE_ROOM_PORT: String(ports.machineRoom),
          MOTO_URL: motoUrl,
          KUBECONFIG: kubeconfigPath(dir, "machine-room"),
          KUBE_API_URL: apiUrl(state),
          AWS_REGION: "us-east-1",
          AWS_ACCESS_KEY_ID: "sandbox",
          AWS_SECRET_ACCESS_KEY: "sandbox",
        },
      },
    ),
  ];
}
