import type { Pod } from "../cluster/types.ts";

/** A port of the node that a pod takes. */
export interface HostPort {
  ip: string;
  port: number;
  protocol: string;
}

const ANY = "0.0.0.0";

/** Of containers and sidecars; an init container that ends holds no port. In the host's network every port is a host port. */
export function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...sidecars, ...(spec?.containers ?? [])].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, hostIP, protocol }) => {
      const port = hostPort ?? (spec?.hostNetwork === true ? containerPort : undefined) ?? 0;
      if (port <= 0) return [];
      return [{ ip: orElse(hostIP, ANY), port, protocol: orElse(protocol, "TCP") }];
    }),
  );
}

const orElse = (text: string | undefined, otherwise: string): string =>
  text === undefined || text === "" ? otherwise : text;

/** 0.0.0.0 stands for every address. */
export const portsClash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === ANY || b.ip === ANY);

export const portText = ({ ip, port, protocol }: HostPort): string =>
  `${ip === ANY ? "" : `${ip}:`}${port}/${protocol}`;
