// How ACL objects are shown.

export interface Link {
  ID: string;
  Name: string;
}

export interface Token {
  AccessorID: string;
  SecretID?: string;
  Description: string;
  Local: boolean;
  AuthMethod?: string;
  CreateTime: string;
  ExpirationTime?: string;
  Hash?: string;
  CreateIndex: number;
  ModifyIndex: number;
  Policies?: Link[] | null;
  Roles?: Link[] | null;
  ServiceIdentities?: { ServiceName: string; Datacenters?: string[] | null }[] | null;
  NodeIdentities?: { NodeName: string; Datacenter: string }[] | null;
}

export interface Policy {
  ID: string;
  Name: string;
  Description: string;
  Datacenters?: string[] | null;
  Rules?: string;
  Hash?: string;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface Role extends Omit<Policy, "Rules" | "Datacenters"> {
  Policies?: Link[] | null;
  ServiceIdentities?: Token["ServiceIdentities"];
  NodeIdentities?: Token["NodeIdentities"];
}

/** Values begin at this column. */
const labelWidth = 18;

function row(label: string, value: unknown, indent = ""): string {
  return `${indent}${`${label}:`.padEnd(labelWidth)}${value}\n`;
}

function metaRows(object: Token | Policy | Role, hasMeta: boolean, indent = ""): string {
  if (!hasMeta) return "";
  return row("Hash", object.Hash ?? "", indent) + row("Create Index", object.CreateIndex, indent) +
    row("Modify Index", object.ModifyIndex, indent);
}

function linkRows(title: string, links: Link[] | null | undefined, indent = ""): string {
  if (!links?.length) return "";
  return `${indent}${title}:\n` +
    links.map(({ ID, Name }) => `${indent}   ${ID} - ${Name}\n`).join("");
}

function identityRows(object: Token | Role, indent = ""): string {
  const services = (object.ServiceIdentities ?? []).map(({ ServiceName, Datacenters }) =>
    `${indent}   ${ServiceName} (Datacenters: ${
      Datacenters?.length ? Datacenters.join(", ") : "all"
    })\n`
  );
  const nodes = (object.NodeIdentities ?? []).map(({ NodeName, Datacenter }) =>
    `${indent}   ${NodeName} (Datacenter: ${Datacenter})\n`
  );
  return (services.length === 0 ? "" : `${indent}Service Identities:\n${services.join("")}`) +
    (nodes.length === 0 ? "" : `${indent}Node Identities:\n${nodes.join("")}`);
}

export function formatToken(token: Token, hasMeta: boolean): string {
  return row("AccessorID", token.AccessorID) +
    (token.SecretID === undefined ? "" : row("SecretID", token.SecretID)) +
    row("Description", token.Description) + row("Local", token.Local) +
    (token.AuthMethod ? row("Auth Method", token.AuthMethod) : "") +
    row("Create Time", token.CreateTime) +
    (token.ExpirationTime ? row("Expiration Time", token.ExpirationTime) : "") +
    metaRows(token, hasMeta) + linkRows("Policies", token.Policies) +
    linkRows("Roles", token.Roles) + identityRows(token);
}

export function formatPolicy(policy: Policy, hasMeta: boolean): string {
  return row("ID", policy.ID) + row("Name", policy.Name) +
    row("Description", policy.Description) +
    row("Datacenters", (policy.Datacenters ?? []).join(", ")) + metaRows(policy, hasMeta) +
    `Rules:\n${policy.Rules ?? ""}\n`;
}

export function formatRole(role: Role, hasMeta: boolean): string {
  return row("ID", role.ID) + row("Name", role.Name) + row("Description", role.Description) +
    metaRows(role, hasMeta) + linkRows("Policies", role.Policies) + identityRows(role);
}

export function formatPolicyListing(policies: Policy[], hasMeta: boolean): string {
  return policies.map((policy) =>
    `${policy.Name}:\n` + row("ID", policy.ID, "   ") +
    row("Description", policy.Description, "   ") +
    row("Datacenters", (policy.Datacenters ?? []).join(", "), "   ") +
    metaRows(policy, hasMeta, "   ")
  ).join("");
}

export function formatRoleListing(roles: Role[], hasMeta: boolean): string {
  return roles.map((role) =>
    `${role.Name}:\n` + row("ID", role.ID, "   ") +
    row("Description", role.Description, "   ") + metaRows(role, hasMeta, "   ") +
    linkRows("Policies", role.Policies, "   ") + identityRows(role, "   ")
  ).join("");
}

/** Objects of which only name and plain members are shown. */
export function formatNamed(objects: Record<string, unknown>[], name: string): string {
  return objects.map((object) =>
    `${object[name]}:\n` +
    Object.entries(object)
      .filter(([member, value]) => member !== name && typeof value !== "object" && value !== "")
      .map(([member, value]) => row(member, value, "   ")).join("")
  ).join("");
}
