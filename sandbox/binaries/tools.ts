/** What the sandbox runs, at which version, and where it may come from. One entry per publisher. */

export interface Download {
  /** Base URL; `variable` overrides it. */
  base: string;
  variable: string;
  /** Path of the file for one binary (or of the archive with all) under the base. */
  file(platform: Platform, binary: string): string;
  /** Path of the publisher's checksum file under the same base. */
  checksums(platform: Platform, binary: string): string;
  /** For archives: folder inside the archive where the binaries are. */
  archiveFolder?: (platform: Platform) => string;
}

export interface Platform {
  os: "linux" | "darwin";
  arch: "amd64" | "arm64";
}

export interface Tool {
  name: ToolName;
  version: string;
  binaries: string[];
  /** Arguments that print the version of one of its binaries. */
  versionArgs(binary: string): string[];
  /** Whether a version found on PATH will do. */
  fits(version: string): boolean;
  download: Download;
  build: {
    /** Folder under sandbox/tools with go.mod and go.sum. */
    module: string;
    /** Go package of each binary. */
    package(binary: string): string;
    ldflags: string;
    /** How long a cold build takes on two cores, in words. */
    onTwoCores: string;
  };
}

export const toolNames = ["etcd", "kubernetes", "kwok", "pulumi"] as const;
export type ToolName = (typeof toolNames)[number];

const KUBERNETES = "1.34.4";
const ETCD = "3.6.5";
const KWOK = "0.8.0";
export const PULUMI = "3.255.0";
export const MOTO = "5.2.5";

/** True when `version` has the same major and minor as `pinned` and is not older. */
function sameMinor(pinned: string): (version: string) => boolean {
  const [major, minor, patch] = pinned.split(".").map(Number);
  return (version) => {
    const [a, b, c] = version.split(".").map(Number);
    return a === major && b === minor && (c ?? 0) >= (patch ?? 0);
  };
}

const archive = (os: Platform["os"]): string => (os === "darwin" ? "zip" : "tar.gz");
const k8sVersion = "k8s.io/component-base/version";

export const tools: Record<ToolName, Tool> = {
  etcd: {
    name: "etcd",
    version: ETCD,
    binaries: ["etcd"],
    versionArgs: () => ["--version"],
    fits: (version) => /^3\.6\.\d+$/.test(version),
    download: {
      base: "https://github.com/etcd-io/etcd/releases/download",
      variable: "SANDBOX_DOWNLOAD_ETCD",
      file: ({ os, arch }) => `v${ETCD}/etcd-v${ETCD}-${os}-${arch}.${archive(os)}`,
      checksums: () => `v${ETCD}/SHA256SUMS`,
      archiveFolder: ({ os, arch }) => `etcd-v${ETCD}-${os}-${arch}`,
    },
    build: {
      module: "etcd",
      package: () => "go.etcd.io/etcd/server/v3",
      ldflags: "-s -w",
      onTwoCores: "half a minute",
    },
  },
  kubernetes: {
    name: "kubernetes",
    version: KUBERNETES,
    binaries: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
    versionArgs: (binary) => (binary === "kubectl" ? ["version", "--client"] : ["--version"]),
    fits: (version) => /^1\.34\.\d+$/.test(version),
    download: {
      base: "https://dl.k8s.io",
      variable: "SANDBOX_DOWNLOAD_KUBERNETES",
      file: ({ os, arch }, binary) => `v${KUBERNETES}/bin/${os}/${arch}/${binary}`,
      checksums: ({ os, arch }, binary) => `v${KUBERNETES}/bin/${os}/${arch}/${binary}.sha256`,
    },
    build: {
      module: "kubernetes",
      package: (binary) => `k8s.io/kubernetes/cmd/${binary}`,
      ldflags: `-s -w -X ${k8sVersion}.gitVersion=v${KUBERNETES} -X ${k8sVersion}.gitMajor=1 -X ${k8sVersion}.gitMinor=34`,
      onTwoCores: "4 to 5 minutes",
    },
  },
  kwok: {
    name: "kwok",
    version: KWOK,
    binaries: ["kwok"],
    versionArgs: () => ["--version"],
    fits: sameMinor(KWOK),
    download: {
      base: "https://github.com/kubernetes-sigs/kwok/releases/download",
      variable: "SANDBOX_DOWNLOAD_KWOK",
      file: ({ os, arch }) => `v${KWOK}/kwok-${os}-${arch}`,
      checksums: ({ os, arch }) => `v${KWOK}/kwok-${os}-${arch}.sha256`,
    },
    build: {
      module: "kwok",
      package: () => "sigs.k8s.io/kwok/cmd/kwok",
      ldflags: "-s -w",
      onTwoCores: "1 to 2 minutes",
    },
  },
  pulumi: {
    name: "pulumi",
    version: PULUMI,
    binaries: ["pulumi"],
    versionArgs: () => ["version"],
    fits: (version) => version === PULUMI, // the CLI and the SDK: one version
    download: {
      base: "https://github.com/pulumi/pulumi/releases/download",
      variable: "SANDBOX_DOWNLOAD_PULUMI",
      file: ({ os, arch }) => `v${PULUMI}/pulumi-v${PULUMI}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`,
      checksums: () => `v${PULUMI}/pulumi-${PULUMI}-checksums.txt`,
      archiveFolder: () => "pulumi",
    },
    build: {
      module: "pulumi",
      package: () => "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
      ldflags: `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${PULUMI}`,
      onTwoCores: "3 to 4 minutes",
    },
  },
};

/** The platform in the publishers' words. Throws on systems for which there is no sandbox. */
export function platform(): Platform {
  const os = process.platform;
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  if ((os !== "linux" && os !== "darwin") || (arch !== "amd64" && arch !== "arm64")) {
    throw new Error(
      `The sandbox runs on Linux and macOS (amd64, arm64), not on ${os} ${arch}: use a Linux machine or WSL.`,
    );
  }
  return { os, arch };
}
