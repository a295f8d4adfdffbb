"""moto's server for the sandbox: one process, fixed ids, Auto Scaling that behaves (see auto_scaling.py).

Beside the AWS API it answers the machine room on /sandbox/seed (POST, idempotent: network, images, role) and
/sandbox/instances (GET: what runs, in one cheap JSON instead of many XML pages).
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
import traceback
from datetime import timezone

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
# AWS's own policies (AmazonEKSWorkerNodePolicy, ...), which node roles attach.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

import auto_scaling  # noqa: E402
import load_balancing  # noqa: E402
import quotas  # noqa: E402
from moto.autoscaling import autoscaling_backends  # noqa: E402
from moto.ec2 import ec2_backends  # noqa: E402
from moto.ec2.models import security_groups, subnets, vpcs  # noqa: E402
from moto.ec2.models.amis import Ami  # noqa: E402
from moto.iam import iam_backends  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

ACCOUNT = "123456789012"
# moto's models are not safe for threads: calls and the reconciler take turns.
LOCK = threading.RLock()


def seed(world):
    """Creates what is missing of {region, vpc, cidr, subnets, securityGroup, images, role, instanceProfile}."""
    ec2 = ec2_backends[ACCOUNT][world["region"]]
    if world["vpc"] not in ec2.vpcs:
        create_with_id(vpcs, "random_vpc_id", world["vpc"], lambda: ec2.create_vpc(world["cidr"]))
    for s in world["subnets"]:
        if not any(s["id"] in zone for zone in ec2.subnets.values()):
            create_with_id(
                subnets,
                "random_subnet_id",
                s["id"],
                lambda s=s: ec2.create_subnet(world["vpc"], s["cidr"], availability_zone=s["zone"]),
            )
    if world["securityGroup"] not in ec2.groups[world["vpc"]]:
        create_with_id(
            security_groups,
            "random_security_group_id",
            world["securityGroup"],
            lambda: ec2.create_security_group("sandbox-nodes", "nodes of the sandbox", vpc_id=world["vpc"]),
        )
    for image in world["images"]:
        if image["id"] not in ec2.amis:
            ec2.amis[image["id"]] = Ami(
                ec2,
                image["id"],
                name=image["name"],
                description=image["description"],
                architecture="x86_64",
                virtualization_type="hvm",
                root_device_type="ebs",
                root_device_name="/dev/xvda",
                hypervisor="xen",
                public=True,
                owner_id="602401143452",
                owner_alias="amazon",
                image_location="sandbox/" + image["name"],
                region_name=world["region"] + "a",
            )
    iam = iam_backends[ACCOUNT]["aws"]
    if not any(r.name == world["role"] for r in iam.roles.values()):
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        iam.create_role(world["role"], trust, "/", None, "nodes of the sandbox", {}, "3600")
        iam.create_instance_profile(world["instanceProfile"], "/", [], {})
        iam.add_role_to_instance_profile(world["instanceProfile"], world["role"])


def create_with_id(module, generator, fixed_id, create):
    """moto draws the id from a function of the module: let it draw ours, once."""
    original = getattr(module, generator)
    setattr(module, generator, lambda *args: fixed_id)
    try:
        create()
    finally:
        setattr(module, generator, original)


def instances(region):
    found = []
    for reservation in ec2_backends[ACCOUNT][region].reservations.values():
        for i in reservation.instances:
            if i.state != "running":
                continue
            found.append(
                {
                    "id": i.id,
                    "zone": i.placement.zone,
                    "type": i.instance_type,
                    "image": i.image_id,
                    "privateIp": i.private_ip,
                    "privateDnsName": i.private_dns_name,
                    # moto keeps UTC without saying so
                    "launchTime": i.launch_time.replace(tzinfo=timezone.utc).timestamp(),
                    "spot": i.lifecycle == "spot",
                    "group": getattr(getattr(i, "autoscaling_group", None), "name", None),
                    "tags": {t["key"]: t["value"] for t in i.get_tags()},
                    "userData": str(i.user_data) if i.user_data else None,
                }
            )
    return found


def reconcile_for_ever():
    complaints = {}
    while True:
        time.sleep(0.4)
        with LOCK:
            for by_region in list(autoscaling_backends.values()):
                for backend in list(by_region.values()):
                    for group in list(backend.autoscaling_groups.values()):
                        try:
                            auto_scaling.reconcile(group)
                            complaints.pop(group.name, None)
                        except Exception as error:
                            # tried again next time, told once
                            if complaints.get(group.name) != str(error):
                                complaints[group.name] = str(error)
                                print("group %s: %s" % (group.name, traceback.format_exc()), file=sys.stderr, flush=True)


def make_app():
    moto = DomainDispatcherApplication(create_backend_app)

    def app(environ, start_response):
        path = environ.get("PATH_INFO", "")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        with LOCK:
            if path == "/sandbox/seed":
                seed(json.loads(environ["wsgi.input"].read(length)))
                return reply(start_response, {})
            if path == "/sandbox/instances":
                return reply(start_response, instances(environ.get("QUERY_STRING") or "us-east-1"))
            # A list, so that the answer is made inside the lock.
            return list(moto(environ, start_response))

    return app


def reply(start_response, value):
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class QuietHandler(MotoRequestHandler):
    def log_request(self, code="-", size="-"):
        # the machine room asks three times a second: only what others ask is worth a line
        if not self.path.startswith("/sandbox/instances"):
            super().log_request(code, size)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    auto_scaling.patch()
    load_balancing.patch()
    quotas.patch()
    threading.Thread(target=reconcile_for_ever, daemon=True).start()
    QuietHandler.protocol_version = "HTTP/1.1"  # connections are kept
    make_server(args.host, args.port, make_app(), threaded=True, request_handler=QuietHandler).serve_forever()


if __name__ == "__main__":
    main()
