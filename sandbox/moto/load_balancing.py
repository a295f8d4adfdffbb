"""Target groups: a target that was deregistered drains for the group's delay, and is told of until then; moto forgets it at once."""

import time

from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup

DELAY = "deregistration_delay.timeout_seconds"

original_deregister = FakeTargetGroup.deregister
original_register = FakeTargetGroup.register
original_health_for = FakeTargetGroup.health_for


def leaving(group):
    """When each target that still drains was deregistered."""
    times = group.__dict__.setdefault("deregistered_at", {})
    delay = float(group.attributes.get(DELAY, 300))
    for target_id in [key for key, at in times.items() if time.time() - at >= delay]:
        del times[target_id]
    return times


def register(self, targets):
    original_register(self, targets)
    for target in targets:
        leaving(self).pop(target["Id"], None)


def deregister(self, targets):
    original_deregister(self, targets)
    for target in targets:
        leaving(self)[target["Id"]] = time.time()


def health_for(self, target, ec2_backend):
    if target["Id"] not in self.targets and target["Id"] in leaving(self):
        return FakeHealthStatus(
            target["Id"],
            target.get("Port", self.port),
            self.health_check_port,
            "draining",
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        )
    return original_health_for(self, target, ec2_backend)


original_describe = ELBv2Backend.describe_target_health


def describe_target_health(self, target_group_arn, targets):
    group = self.target_groups.get(target_group_arn)
    if group is not None and not targets:
        draining = [group.deregistered_targets[key] for key in leaving(group) if key in group.deregistered_targets]
        targets = [*group.targets.values(), *draining]
        if not targets:
            return []
    return original_describe(self, target_group_arn, targets)


def patch():
    FakeTargetGroup.register = register
    FakeTargetGroup.deregister = deregister
    FakeTargetGroup.health_for = health_for
    ELBv2Backend.describe_target_health = describe_target_health
