"""What moto lacks in EC2 Auto Scaling, as overrides of its classes.

moto changes a group's instances inside the API call, in one zone, whatever is suspended. Here a call only records what
is wanted, and `reconcile` (called twice a second) brings the group there, as the real service does: asynchronously,
spread over the group's subnets, from the template version of the moment, obeying the suspended processes.
"""

from collections import Counter

from moto.autoscaling import models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.core.types import Base64EncodedString
from moto.ec2.models import launch_templates
from moto.ec2.utils import parse_user_data

DELETING = "Delete in progress"
PROCESSES = {
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
}

Group = models.FakeAutoScalingGroup
Backend = models.AutoScalingBackend


class AlreadyExists(AutoscalingClientError):
    code = "AlreadyExists"


class ResourceInUse(AutoscalingClientError):
    code = "ResourceInUse"


def suspended(group, process):
    return process in group._suspended_processes


def subnets_of(group):
    """Zone -> subnet id; a group that names only zones gets the subnets of those zones."""
    if group.vpc_zone_identifier:
        ids = [s.strip() for s in group.vpc_zone_identifier.split(",")]
        return {s.availability_zone: s.id for s in group.ec2_backend.describe_subnets(subnet_ids=ids)}
    all_subnets = group.ec2_backend.describe_subnets()
    return {z: next((s.id for s in all_subnets if s.availability_zone == z), None) for z in group.availability_zones}


def by_zone(group):
    """Instances per zone of the group, empty zones included."""
    count = Counter(s.availability_zone for s in group.instance_states)
    return {zone: count.get(zone, 0) for zone in subnets_of(group)}


def template_of(group):
    """The template version a launch of this moment uses, or None for a launch configuration."""
    if not group.ec2_launch_template:
        return None
    return group.ec2_launch_template.get_version(group.launch_template_version)


def launch(group, zone):
    version = template_of(group)
    if version and version.template.id not in group.ec2_backend.launch_templates:
        raise ValidationError("The launch template %s of the group does not exist any more" % version.template.name)
    data = version.data if version else {}
    overrides = ((group.mixed_instances_policy or {}).get("LaunchTemplate") or {}).get("Overrides") or []
    instance_type = next((o["InstanceType"] for o in overrides if o.get("InstanceType")), None)
    tags = {**(version.instance_tags if version else {}), **group.get_propagated_tags()}
    tags[models.ASG_NAME_TAG] = group.name
    interfaces = data.get("NetworkInterfaces") or []
    security_groups = next((i["Groups"] for i in interfaces if i.get("Groups")), None) or data.get("SecurityGroupIds")
    reservation = group.ec2_backend.run_instances(
        group.image_id,
        1,
        group.user_data,
        [],
        instance_type=instance_type or group.instance_type or "m5.large",
        is_instance_type_default=False,
        tags={"instance": tags},
        placement=zone,
        subnet_id=subnets_of(group)[zone],
        security_group_ids=list(security_groups or []),
        launch_config=group.launch_config,
        # moto would take the default version where none is given
        launch_template={"LaunchTemplateId": version.template.id, "Version": str(version.number)} if version else None,
        iam_instance_profile=(data.get("IamInstanceProfile") or {}).get("Arn"),
        metadata_options=data.get("MetadataOptions") or {},
        associate_public_ip=False,
        **({"block_device_mappings": data["BlockDeviceMappings"]} if data.get("BlockDeviceMappings") else {}),
    )
    instance = reservation.instances[0]
    instance.autoscaling_group = group
    if version:
        instance.launched_from = {
            "LaunchTemplateId": version.template.id,
            "LaunchTemplateName": version.template.name,
            "Version": str(version.number),
        }
    state = models.InstanceState(instance, protected_from_scale_in=group.new_instances_protected_from_scale_in)
    group.instance_states.append(state)
    if not suspended(group, "AddToLoadBalancer"):
        for arn in group.target_group_arns:
            register(group, arn, instance.id)


def register(group, arn, instance_id):
    elb = group.autoscaling_backend.elbv2_backend
    if arn in elb.target_groups:
        port = elb.target_groups[arn].port
        elb.register_targets(arn, [{"Id": instance_id, "Port": port}])


def terminate(group, state):
    instance = state.instance
    group.instance_states = [s for s in group.instance_states if s is not state]
    elb = group.autoscaling_backend.elbv2_backend
    for arn in group.target_group_arns:
        if arn in elb.target_groups:
            elb.deregister_targets(arn, [{"Id": instance.id}])
    if instance.state != "terminated":
        group.ec2_backend.terminate_instances([instance.id])


def victim(group):
    """Default termination policy: fullest zone, then the oldest template version, then the oldest; never a protected one."""
    candidates = [s for s in group.instance_states if not s.protected_from_scale_in]
    count = Counter(s.availability_zone for s in group.instance_states)

    def rank(state):
        version = int((getattr(state.instance, "launched_from", None) or {}).get("Version", 0))
        return (-count[state.availability_zone], version, state.instance.launch_time)

    return min(candidates, key=rank, default=None)


def reconcile(group):
    backend = group.autoscaling_backend
    if getattr(group, "status", None) == DELETING:
        for state in list(group.instance_states):
            terminate(group, state)
        backend.autoscaling_groups.pop(group.name, None)
        return

    if not suspended(group, "HealthCheck"):
        for state in group.instance_states:
            if state.instance.state not in ("pending", "running"):
                state.health_status = "Unhealthy"
    # A lost instance stays listed, unhealthy, while nothing may replace it: so the group does not launch another.
    if not suspended(group, "ReplaceUnhealthy") and not suspended(group, "Terminate"):
        for state in [s for s in group.instance_states if s.health_status == "Unhealthy"]:
            terminate(group, state)

    wanted = group.desired_capacity or 0
    while len(group.instance_states) < wanted and not suspended(group, "Launch"):
        zones = by_zone(group)
        launch(group, min(zones, key=lambda z: zones[z]))
    while len(group.instance_states) > wanted and not suspended(group, "Terminate"):
        state = victim(group)
        if state is None:
            break
        terminate(group, state)
    if not any(suspended(group, p) for p in ("AZRebalance", "Launch", "Terminate")):
        rebalance(group)


def rebalance(group):
    """One move: zones that differ by more than one, or an instance in a zone the group has left."""
    zones = by_zone(group)
    stray = next((s for s in group.instance_states if s.availability_zone not in zones), None)
    if not zones or (stray is None and max(zones.values()) - min(zones.values()) < 2):
        return
    if len(group.instance_states) != group.desired_capacity:
        return
    state = stray or victim(group)
    if state is None or state.protected_from_scale_in:
        return
    launch(group, min(zones, key=lambda z: zones[z]))
    terminate(group, state)


def check_sizes(desired, low, high):
    if low is not None and high is not None and low > high:
        raise ValidationError("Max bound, %s, must be greater than or equal to min bound, %s" % (high, low))
    if desired is not None and low is not None and not low <= desired <= high:
        raise ValidationError(
            "Desired capacity:%s must be between the specified min size:%s and max size:%s" % (desired, low, high)
        )


def find(backend, name):
    group = backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError("AutoScalingGroup name not found - AutoScalingGroup '%s' not found" % name)
    return group


original_create = Backend.create_auto_scaling_group


def create_auto_scaling_group(self, *args, **kwargs):
    name = kwargs["name"]
    if name in self.autoscaling_groups:
        state = " and is pending delete" if getattr(self.autoscaling_groups[name], "status", None) == DELETING else ""
        raise AlreadyExists("AutoScalingGroup by this name already exists - A group with the name %s already exists%s" % (name, state))
    check_sizes(kwargs.get("desired_capacity"), kwargs.get("min_size"), kwargs.get("max_size"))
    kwargs["target_group_arns"] = list(kwargs.get("target_group_arns") or [])
    for arn in kwargs["target_group_arns"]:
        if arn not in self.elbv2_backend.target_groups:
            raise ValidationError("Provided Target Groups may not be valid. Please ensure they exist and try again.")
    group = original_create(self, *args, **kwargs)
    try:
        template_of(group)  # an unknown version fails the call, not the first launch
    except Exception:
        self.autoscaling_groups.pop(name, None)
        raise
    return group


def update(
    self,
    availability_zones,
    desired_capacity,
    max_size,
    min_size,
    launch_config_name,
    launch_template,
    vpc_zone_identifier,
    health_check_period,
    health_check_type,
    new_instances_protected_from_scale_in=None,
    mixed_instances_policy=None,
):
    """As moto's, but what the call leaves out stays (moto drops the mixed instances policy), and sizes are checked."""
    low = self.min_size if min_size is None else min_size
    high = self.max_size if max_size is None else max_size
    check_sizes(desired_capacity, low, high)
    self._set_azs_and_vpcs(availability_zones, vpc_zone_identifier, update=True)
    self.min_size, self.max_size = low, high
    self.desired_capacity = min(max(self.desired_capacity if desired_capacity is None else desired_capacity, low), high)
    if launch_template:
        self.mixed_instances_policy = None
    if mixed_instances_policy:
        self.mixed_instances_policy = mixed_instances_policy
    if launch_config_name or launch_template or mixed_instances_policy:
        self._set_launch_configuration(launch_config_name, launch_template, mixed_instances_policy)
        template_of(self)
    if health_check_period is not None:
        self.health_check_grace_period = health_check_period
    if health_check_type is not None:
        self.health_check_type = health_check_type
    if new_instances_protected_from_scale_in is not None:
        self.new_instances_protected_from_scale_in = new_instances_protected_from_scale_in


def record_desired_capacity(self, new_capacity):
    self.desired_capacity = self.min_size if new_capacity is None else new_capacity


def set_desired_capacity(self, group_name, desired_capacity):
    group = find(self, group_name)
    if desired_capacity is not None and not group.min_size <= desired_capacity <= group.max_size:
        side = ("below min value", group.min_size) if desired_capacity < group.min_size else ("above max value", group.max_size)
        raise ValidationError("New SetDesiredCapacity value %s is %s %s for the AutoScalingGroup." % (desired_capacity, *side))
    group.set_desired_capacity(desired_capacity)


def delete_auto_scaling_group(self, group_name, force=False):
    group = find(self, group_name)
    if group.instance_states and not force:
        raise ResourceInUse(
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group."
        )
    group.status = DELETING
    group.min_size = group.desired_capacity = 0


def terminate_instance(self, instance_id, should_decrement):
    """TerminateInstanceInAutoScalingGroup works on protected instances and while Terminate is suspended."""
    for group in self.autoscaling_groups.values():
        for state in group.instance_states:
            if state.instance.id == instance_id:
                before = group.desired_capacity
                if should_decrement:
                    if before - 1 < group.min_size:
                        raise ValidationError(
                            "Currently, desiredSize equals minSize (%s). Terminating instance without replacement will "
                            "violate group's min size constraint." % group.min_size
                        )
                    group.desired_capacity = before - 1
                terminate(group, state)
                return models.TerminateInstanceActivity(state.instance, before)
    raise ValidationError("Instance Id not found - No managed instance found for instance ID: %s" % instance_id)


def suspend_processes(self, group_name, scaling_processes):
    group = find(self, group_name)
    unknown = set(scaling_processes or []) - PROCESSES
    if unknown:
        raise ValidationError("Unknown process type: %s" % ", ".join(sorted(unknown)))
    group._suspended_processes = sorted(set(group._suspended_processes) | set(scaling_processes or PROCESSES))


def resume_processes(self, group_name, scaling_processes):
    group = find(self, group_name)
    group._suspended_processes = sorted(set(group._suspended_processes) - set(scaling_processes or PROCESSES))


def set_instance_protection(self, group_name, instance_ids, protected_from_scale_in):
    group = find(self, group_name)
    members = {s.instance.id: s for s in group.instance_states}
    for instance_id in instance_ids:
        if instance_id not in members:
            raise ValidationError("The instance %s is not part of Auto Scaling group %s." % (instance_id, group_name))
        members[instance_id].protected_from_scale_in = bool(protected_from_scale_in)


def attach_target_groups(self, group_name):
    group = self.autoscaling_groups[group_name]
    for arn in group.target_group_arns:
        for state in group.instance_states:
            register(group, arn, state.instance.id)


def patch():
    # moto reads the user data of a template's first version only, and chokes on that of the later ones
    original_init = launch_templates.LaunchTemplateVersion.__init__

    def init(self, template, number, data, description):
        if data.get("UserData") and not isinstance(data["UserData"], Base64EncodedString):
            data["UserData"] = parse_user_data(data["UserData"])
        original_init(self, template, number, data, description)

    launch_templates.LaunchTemplateVersion.__init__ = init

    Group.set_desired_capacity = record_desired_capacity
    Group.update = update
    Group.status = None
    Group.launch_template_version = None
    Group.provided_launch_template_version = None
    # A group with a mixed instances policy shows its template only inside that policy.
    Group.launch_template = property(
        lambda g: None
        if g.ec2_launch_template is None or g.mixed_instances_policy
        else {
            "LaunchTemplateId": g.ec2_launch_template.id,
            "LaunchTemplateName": g.ec2_launch_template.name,
            "Version": g.provided_launch_template_version,
        }
    )
    # The version an instance was launched from, not the default of today.
    models.InstanceState.launch_template = property(lambda s: getattr(s.instance, "launched_from", None))
    Backend.create_auto_scaling_group = create_auto_scaling_group
    Backend.delete_auto_scaling_group = delete_auto_scaling_group
    Backend.set_desired_capacity = set_desired_capacity
    Backend.terminate_instance = terminate_instance
    Backend.suspend_processes = suspend_processes
    Backend.resume_processes = resume_processes
    Backend.set_instance_protection = set_instance_protection
    Backend.update_attached_target_groups = attach_target_groups
    # TerminateInstances only kills the machine: the group notices by itself.
    Backend.notify_terminate_instances = lambda self, instance_ids: None

    from moto.autoscaling.responses import AutoScalingResponse
    from moto.core.responses import EmptyResult

    def delete_response(self):
        self.autoscaling_backend.delete_auto_scaling_group(
            self._get_param("AutoScalingGroupName"), force=bool(self._get_bool_param("ForceDelete", False))
        )
        return EmptyResult()

    AutoScalingResponse.delete_auto_scaling_group = delete_response
