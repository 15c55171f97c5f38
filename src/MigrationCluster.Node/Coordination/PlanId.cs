using System.Security.Cryptography;
using System.Text;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Coordination;

/// <summary>
/// A plan's name: <c>p-</c> and one group for each fact that it was made under. Nobody has to remember a plan: any coordinator works out
/// the facts of now, and the groups that differ name what has changed. The last three are the inventory's version.
/// </summary>
/// <remarks>20 bits a fact, as four characters of Crockford's base 32: a change is missed once in a million.</remarks>
public sealed class PlanId
{
    private const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    private const int GroupLength = 4, InventoryFrom = 4;

    private readonly IReadOnlyList<(string Fact, string Group)> _facts;

    private PlanId(IReadOnlyList<(string, string)> facts) => _facts = facts;

    public string Text => "p-" + string.Join('-', _facts.Select(fact => fact.Group));

    public string InventoryVersion => string.Join('-', _facts.Skip(InventoryFrom).Select(fact => fact.Group));

    /// <param name="offers">of the destination.</param>
    public static PlanId Of(PlannedGuest guest, HostName destination, AgentOffers offers)
    {
        var row = guest.Record.Row;
        return new PlanId(
        [
            ("the guest", Group(row.Guest.Value)),
            ("the destination", Group(destination.Value)),
            ($"where the guest runs (now {row.Owner}, epoch {row.Epoch.Value})", Group($"{row.Owner} {row.Epoch.Value}")),
            ("the guest's spec", Group(guest.Record.SpecJson)),
            ("the guest's devices", Group(WireJson.Write(guest.Setup))),
            ($"what {guest.Home} offers", Group(guest.Offers.Digest)),
            ($"what {destination} offers", Group(offers.Digest)),
        ]);
    }

    /// <summary>Whether a text has a plan's form.</summary>
    public static bool IsWellFormed(string text) =>
        text.Split('-') is ["p", .. { Length: 7 } groups]
        && groups.All(group => group.Length == GroupLength && group.All(Alphabet.Contains));

    /// <summary>Whether a plan is for this host.</summary>
    public static bool LeadsTo(string text, HostName host) => text.Split('-')[2] == Group(host.Value);

    /// <returns>what differs now from when that plan was made; empty: nothing.</returns>
    public IReadOnlyList<string> ChangedSince(string plan) =>
        [.. _facts.Zip(plan.Split('-').Skip(1)).Where(pair => pair.First.Group != pair.Second).Select(pair => pair.First.Fact)];

    private static string Group(string fact)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(fact));
        int bits = hash[0] << 12 | hash[1] << 4 | hash[2] >> 4;
        return string.Concat(Enumerable.Range(0, GroupLength).Select(i => Alphabet[bits >> (5 * (GroupLength - 1 - i)) & 31]));
    }
}
