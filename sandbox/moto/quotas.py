"""The quotas that PatchGuard asks for, with AWS's defaults or what accounts usually have: moto knows those of VPC only."""

from moto.servicequotas.models import ServiceQuotasBackend

QUOTAS = {
    ("ec2", "L-1216C47A"): ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 1152.0),
    ("ec2", "L-34B43A08"): ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 1152.0),
    ("eks", "L-6D54EA21"): ("Managed node groups per cluster", 30.0),
}


def patch():
    original = ServiceQuotasBackend.get_service_quota

    def get_service_quota(self, service_code, quota_code):
        if (service_code, quota_code) not in QUOTAS:
            return original(self, service_code, quota_code)
        name, value = QUOTAS[(service_code, quota_code)]
        return {
            "ServiceCode": service_code,
            "QuotaCode": quota_code,
            "QuotaName": name,
            "Value": value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }

    ServiceQuotasBackend.get_service_quota = get_service_quota
