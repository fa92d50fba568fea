"""Made by `manage.py openapi` from docs/api/openapi.json; do not edit."""

from __future__ import annotations

from typing import Any, Literal, cast

from licensehub.api.client import bodies, types
from licensehub.api.client.transport import Caller


class Client(Caller):
    """One method for each operation."""

    def invite(self, body: bodies.Invitation, *, idempotency_key: str = "") -> types.Granted:
        """Invite a person."""
        return cast(types.Granted, self.call("POST", "/api/v1/users", body=body, idempotency_key=idempotency_key))

    def users(self, *, cursor: str | None = None, limit: int | None = None) -> types.PageUserOut:
        """Accounts and their roles."""
        return cast(types.PageUserOut, self.call("GET", "/api/v1/users", query={"cursor": cursor, "limit": limit}))

    def change_roles(self, pk: int, body: bodies.RoleChange, *, idempotency_key: str = "") -> types.Granted:
        """Give and take roles of an account."""
        return cast(types.Granted, self.call("POST", f"/api/v1/users/{pk}/roles", body=body, idempotency_key=idempotency_key))

    def validate(self, pk: int, *, idempotency_key: str = "") -> types.Validated:
        """Test the connections."""
        return cast(types.Validated, self.call("POST", f"/api/v1/profiles/{pk}/validate", body={}, idempotency_key=idempotency_key))

    def make_request(self, body: bodies.NewRequest, *, idempotency_key: str = "") -> types.Done:
        """Request the reclaim of candidates; another person decides."""
        return cast(types.Done, self.call("POST", "/api/v1/requests", body=body, idempotency_key=idempotency_key))

    def requests(self, *, cursor: str | None = None, limit: int | None = None, profile: int | None = None, state: types.RequestState | None = None) -> types.PageRequestOut:
        """Requests and their decisions."""
        return cast(types.PageRequestOut, self.call("GET", "/api/v1/requests", query={"cursor": cursor, "limit": limit, "profile": profile, "state": state}))

    def approve(self, pk: int, body: bodies.Approval, *, idempotency_key: str = "") -> types.Done:
        """Approve a request, as a second person."""
        return cast(types.Done, self.call("POST", f"/api/v1/requests/{pk}/approve", body=body, idempotency_key=idempotency_key))

    def reject(self, pk: int, body: bodies.Rejection, *, idempotency_key: str = "") -> types.Done:
        """Reject a request, as a second person."""
        return cast(types.Done, self.call("POST", f"/api/v1/requests/{pk}/reject", body=body, idempotency_key=idempotency_key))

    def withdraw(self, pk: int, *, idempotency_key: str = "") -> types.Done:
        """Withdraw an own request."""
        return cast(types.Done, self.call("POST", f"/api/v1/requests/{pk}/withdraw", body={}, idempotency_key=idempotency_key))

    def restore(self, pk: int, body: bodies.Reason, *, idempotency_key: str = "") -> types.Done:
        """Restore one person."""
        return cast(types.Done, self.call("POST", f"/api/v1/history/{pk}/restore", body=body, idempotency_key=idempotency_key))

    def request_restore(self, body: bodies.Restores, *, idempotency_key: str = "") -> types.Done:
        """Request the restore of several people."""
        return cast(types.Done, self.call("POST", "/api/v1/restore-requests", body=body, idempotency_key=idempotency_key))

    def protect(self, body: bodies.NewProtection, *, idempotency_key: str = "") -> types.Protected:
        """Protect an address, a domain, a license or a role."""
        return cast(types.Protected, self.call("POST", "/api/v1/protections", body=body, idempotency_key=idempotency_key))

    def protections(self, *, cursor: str | None = None, limit: int | None = None, profile: int | None = None, in_force: bool | None = None) -> types.PageProtectionOut:
        """Protections, in force or ended."""
        return cast(types.PageProtectionOut, self.call("GET", "/api/v1/protections", query={"cursor": cursor, "limit": limit, "profile": profile, "in_force": in_force}))

    def protect_subscriptions(self, body: bodies.PeopleToProtect, *, idempotency_key: str = "") -> types.Protected:
        """Protect people by their subscriptions."""
        return cast(types.Protected, self.call("POST", "/api/v1/protected-people", body=body, idempotency_key=idempotency_key))

    def stop_protecting(self, pk: int, *, idempotency_key: str = "") -> types.Protected:
        """End a protection."""
        return cast(types.Protected, self.call("POST", f"/api/v1/protections/{pk}/end", body={}, idempotency_key=idempotency_key))

    def download_now(self, pk: int, *, idempotency_key: str = "") -> types.Noted:
        """Download subscriptions now."""
        return cast(types.Noted, self.call("POST", f"/api/v1/profiles/{pk}/download", body={}, idempotency_key=idempotency_key))

    def reclaim_now(self, pk: int, *, idempotency_key: str = "") -> types.Noted:
        """Send now what is approved and due."""
        return cast(types.Noted, self.call("POST", f"/api/v1/profiles/{pk}/reclaim", body={}, idempotency_key=idempotency_key))

    def stop(self, pk: int, *, idempotency_key: str = "") -> types.Noted:
        """Stop sending for a profile."""
        return cast(types.Noted, self.call("POST", f"/api/v1/profiles/{pk}/stop", body={}, idempotency_key=idempotency_key))

    def stop_everything(self, body: bodies.Reason, *, idempotency_key: str = "") -> types.Noted:
        """Stop all sending, in every profile."""
        return cast(types.Noted, self.call("POST", "/api/v1/sending/stop", body=body, idempotency_key=idempotency_key))

    def protection_file(self, pk: int) -> types.FileOut:
        """The protected people as CSV."""
        return cast(types.FileOut, self.call("GET", f"/api/v1/profiles/{pk}/protected-people"))

    def protect_file(self, pk: int, body: bodies.ProtectionFile, *, idempotency_key: str = "") -> types.Protected:
        """Protect the people of a file."""
        return cast(types.Protected, self.call("POST", f"/api/v1/profiles/{pk}/protected-people", body=body, idempotency_key=idempotency_key))

    def user(self, pk: int) -> types.UserOut:
        """One account."""
        return cast(types.UserOut, self.call("GET", f"/api/v1/users/{pk}"))

    def roles(self, *, cursor: str | None = None, limit: int | None = None) -> types.PageRoleOut:
        """Roles and their rights."""
        return cast(types.PageRoleOut, self.call("GET", "/api/v1/roles", query={"cursor": cursor, "limit": limit}))

    def rights_changes(self, *, cursor: str | None = None, limit: int | None = None, state: types.ChangeState | None = None) -> types.PageRightsChangeOut:
        """Changes of rights."""
        return cast(types.PageRightsChangeOut, self.call("GET", "/api/v1/rights-changes", query={"cursor": cursor, "limit": limit, "state": state}))

    def connections(self, *, cursor: str | None = None, limit: int | None = None, profile: int | None = None) -> types.PageConnectionOut:
        """Connections of the profiles."""
        return cast(types.PageConnectionOut, self.call("GET", "/api/v1/connections", query={"cursor": cursor, "limit": limit, "profile": profile}))

    def connection(self, pk: int) -> types.ConnectionOut:
        """One connection."""
        return cast(types.ConnectionOut, self.call("GET", f"/api/v1/connections/{pk}"))

    def request_page(self, pk: int) -> types.RequestPage:
        """One request, with what a decision has to name."""
        return cast(types.RequestPage, self.call("GET", f"/api/v1/requests/{pk}"))

    def people(self, pk: int, *, cursor: str | None = None, limit: int | None = None) -> types.PagePersonOut:
        """The people of a request."""
        return cast(types.PagePersonOut, self.call("GET", f"/api/v1/requests/{pk}/people", query={"cursor": cursor, "limit": limit}))

    def history(self, *, cursor: str | None = None, limit: int | None = None, profile: int | None = None, state: types.ReclaimState | None = None, request_id: int | None = None) -> types.PageReclaimOut:
        """Reclaims and restores, and how each ended."""
        return cast(types.PageReclaimOut, self.call("GET", "/api/v1/history", query={"cursor": cursor, "limit": limit, "profile": profile, "state": state, "request_id": request_id}))

    def reclaim(self, pk: int) -> types.ReclaimOut:
        """One send."""
        return cast(types.ReclaimOut, self.call("GET", f"/api/v1/history/{pk}"))

    def me(self) -> types.Me:
        """The account, role and rights of this token."""
        return cast(types.Me, self.call("GET", "/api/v1/me"))

    def savings(self, *, year: int | None = None, profile: int | None = None) -> types.SavingsOut:
        """Savings of a year, by currency."""
        return cast(types.SavingsOut, self.call("GET", "/api/v1/savings", query={"year": year, "profile": profile}))

    def subscriptions(self, *, cursor: str | None = None, limit: int | None = None, q: str | None = None, department: str | None = None, license: str | None = None, profile: int | None = None, verdict: types.Verdict | None = None, idle_before: str | None = None, holds_seat: bool | None = None) -> types.PageSubscriptionOut:
        """People with license and verdict."""
        return cast(types.PageSubscriptionOut, self.call("GET", "/api/v1/subscriptions", query={"cursor": cursor, "limit": limit, "q": q, "department": department, "license": license, "profile": profile, "verdict": verdict, "idle_before": idle_before, "holds_seat": holds_seat}))

    def subscription(self, pk: int) -> types.SubscriptionPage:
        """One person, and why they have this verdict."""
        return cast(types.SubscriptionPage, self.call("GET", f"/api/v1/subscriptions/{pk}"))

    def candidates(self, *, cursor: str | None = None, limit: int | None = None, profile: int | None = None, state: types.CandidateState | None = None) -> types.PageCandidateOut:
        """Removal candidates."""
        return cast(types.PageCandidateOut, self.call("GET", "/api/v1/candidates", query={"cursor": cursor, "limit": limit, "profile": profile, "state": state}))

    def candidate(self, pk: int) -> types.CandidateOut:
        """One removal candidate."""
        return cast(types.CandidateOut, self.call("GET", f"/api/v1/candidates/{pk}"))

    def profiles(self, *, cursor: str | None = None, limit: int | None = None) -> types.PageProfileOut:
        """Integration profiles."""
        return cast(types.PageProfileOut, self.call("GET", "/api/v1/profiles", query={"cursor": cursor, "limit": limit}))

    def profile(self, pk: int) -> types.ProfileOut:
        """One integration profile."""
        return cast(types.ProfileOut, self.call("GET", f"/api/v1/profiles/{pk}"))

    def runs(self, *, cursor: str | None = None, limit: int | None = None, profile: int | None = None, state: types.RunState | None = None) -> types.PageRunOut:
        """Download runs."""
        return cast(types.PageRunOut, self.call("GET", "/api/v1/runs", query={"cursor": cursor, "limit": limit, "profile": profile, "state": state}))

    def run(self, pk: int) -> types.RunOut:
        """One download run."""
        return cast(types.RunOut, self.call("GET", f"/api/v1/runs/{pk}"))

    def protection(self, pk: int) -> types.ProtectionOut:
        """One protection."""
        return cast(types.ProtectionOut, self.call("GET", f"/api/v1/protections/{pk}"))

    def audit(self, *, cursor: str | None = None, limit: int | None = None, target_type: str | None = None, action: str | None = None, target_id: int | None = None) -> types.PageEventOut:
        """Events of the audit."""
        return cast(types.PageEventOut, self.call("GET", "/api/v1/audit", query={"cursor": cursor, "limit": limit, "target_type": target_type, "action": action, "target_id": target_id}))

    def rule(self, pk: int) -> types.RuleOut:
        """The reclaim rule of a profile."""
        return cast(types.RuleOut, self.call("GET", f"/api/v1/profiles/{pk}/rule"))

    def preview(self, pk: int, body: bodies.OtherTerms, *, idempotency_key: str = "") -> types.PreviewOut:
        """Preview another rule."""
        return cast(types.PreviewOut, self.call("POST", f"/api/v1/profiles/{pk}/rule/preview", body=body, idempotency_key=idempotency_key))

    def webhooks(self, *, cursor: str | None = None, limit: int | None = None) -> types.PageWebhookOut:
        """Webhooks."""
        return cast(types.PageWebhookOut, self.call("GET", "/api/v1/webhooks", query={"cursor": cursor, "limit": limit}))

    def webhook(self, pk: int) -> types.WebhookOut:
        """One webhook."""
        return cast(types.WebhookOut, self.call("GET", f"/api/v1/webhooks/{pk}"))

    def webhook_deliveries(self, pk: int, *, cursor: str | None = None, limit: int | None = None, state: types.DeliveryState | None = None) -> types.PageDeliveryOut:
        """The deliveries of a webhook."""
        return cast(types.PageDeliveryOut, self.call("GET", f"/api/v1/webhooks/{pk}/deliveries", query={"cursor": cursor, "limit": limit, "state": state}))
