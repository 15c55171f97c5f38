using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>
/// What all coordinators share: a store that runs one transaction at a time. What was not written durably is taken back when its
/// power is cut, the last of it first: never an earlier commit without the later ones.
/// </summary>
internal sealed class SimulatedStore(Observer observer)
{
    private readonly SortedDictionary<string, GuestRecord> _rows = new(StringComparer.Ordinal);
    private readonly Dictionary<MigrationId, List<(Fence Fence, JournalEntry Entry)>> _journals = [];
    private readonly List<MigrationId> _journaled = [];
    private readonly Dictionary<MigrationId, Tenancy> _terms = [];
    private readonly List<MigrationId> _begun = [];
    private readonly Dictionary<string, long> _leases = [];
    private readonly SortedDictionary<string, Action> _listening = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, Member> _members = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Coordinator, string Agent), long> _cursors = [];
    private readonly Stack<Action> _volatile = new();

    /// <summary>Every migration that somebody still has to end.</summary>
    public IEnumerable<MigrationId> Open => _begun.Where(id => !_terms[id].Ended || IsUndecided(id));

    public IReadOnlyList<GuestRecord> Rows => [.. _rows.Values];

    public IReadOnlyList<Member> Members => [.. _members.Values];

    public IReadOnlyList<MigrationId> Journaled => [.. _journaled];

    public GuestRecord? Read(GuestName guest) => _rows.GetValueOrDefault(guest.Value);

    public IReadOnlyList<JournalEntry> Read(MigrationId id) =>
        [.. _journals.GetValueOrDefault(id, []).Select(written => written.Entry)];

    public Term TermOf(MigrationId id) => _terms.TryGetValue(id, out var tenancy) ? tenancy.Term : default;

    /// <summary>Whether the coordinators know that the source of a row's attempt is dead.</summary>
    public bool KnowsOfDeath(GuestRecord record) => record.Row.Attempt is { } attempt && observer.KnowsOfDeath(attempt);

    /// <param name="knows">whoever swaps knows whether the source is dead.</param>
    public bool Swap(GuestRecord? expected, GuestRecord next, bool knows)
    {
        if (Read(next.Row.Guest) != expected) return false;
        _rows[next.Row.Guest.Value] = next;
        Flush();
        observer.OnRow(expected, next, knows);
        return true;
    }

    public void Append(MigrationId id, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable)
    {
        if (!_journals.TryGetValue(id, out var journal))
        {
            _journals[id] = journal = [];
            _journaled.Add(id);
        }

        if (journal.Count != after) throw new JournalChangedException(id, after, journal.Count);
        observer.OnJournal(id, fence, TermOf(id), entries);
        journal.AddRange(entries.Select(entry => (fence, entry)));
        Commit(durable, () => journal.RemoveRange(journal.Count - entries.Count, entries.Count));
    }

    public Term Acquire(MigrationId id, string coordinator)
    {
        if (!_terms.ContainsKey(id)) _begun.Add(id);
        var term = new Term(TermOf(id).Value + 1);
        _terms[id] = new Tenancy(term, coordinator, Ended: _terms.TryGetValue(id, out var before) && before.Ended);
        Flush();
        return term;
    }

    public Tenure Renew(IReadOnlyCollection<MigrationId> mine, string coordinator, long now, TimeSpan lease)
    {
        _leases[coordinator] = now + lease.Ticks;
        var taken = Open.Where(id => !mine.Contains(id) && (_terms[id].Coordinator == coordinator || !Lives(_terms[id].Coordinator, now)))
            .ToList();
        var lost = mine.Where(id => _terms.TryGetValue(id, out var tenancy) && tenancy.Coordinator != coordinator)
            .OrderBy(id => id.Value, StringComparer.Ordinal).ToList();
        return new Tenure([.. taken.Select(id => (id, Acquire(id, coordinator)))], lost);
    }

    private bool IsUndecided(MigrationId id) => _rows.Values.Any(record => record.Row.Attempt == id && record.Row.Decision == OwnershipDecision.Undecided);

    public void Resign(string coordinator, long now)
    {
        _leases[coordinator] = now;
        foreach (var (_, tell) in _listening.Where(listens => listens.Key != coordinator)) tell();
    }

    /// <param name="tell">called when another coordinator has resigned; replaces what was to be called before.</param>
    public void Listen(string coordinator, Action tell) => _listening[coordinator] = tell;

    public bool End(MigrationId id, int entries)
    {
        if (Read(id).Count != entries) return false;
        var before = _terms[id];
        _terms[id] = before with { Ended = true };
        Commit(durable: false, () => _terms[id] = _terms[id] with { Ended = false });
        return true;
    }

    public Member? Admit(Member member)
    {
        if (_members.TryGetValue(member.Name.Value, out var known) && known.NodeId != member.NodeId) return known;
        _members[member.Name.Value] = member;
        Flush();
        return null;
    }

    public long Cursor(string coordinator, HostName agent) => _cursors.GetValueOrDefault((coordinator, agent.Value));

    public void MoveCursor(string coordinator, HostName agent, long number)
    {
        long before = Cursor(coordinator, agent);
        _cursors[(coordinator, agent.Value)] = number;
        Commit(durable: false, () => _cursors[(coordinator, agent.Value)] = before);
    }

    /// <summary>The power fails: the last of what was not written durably may be gone.</summary>
    public int CutPower(Random random)
    {
        int gone = random.Next(_volatile.Count + 1);
        for (int i = 0; i < gone; i++) _volatile.Pop()();
        _volatile.Clear();
        return gone;
    }

    private bool Lives(string coordinator, long now) => _leases.GetValueOrDefault(coordinator) > now;

    private void Commit(bool durable, Action takeBack)
    {
        if (durable) Flush();
        else _volatile.Push(takeBack);
    }

    private void Flush() => _volatile.Clear();

    private sealed record Tenancy(Term Term, string Coordinator, bool Ended);
}
