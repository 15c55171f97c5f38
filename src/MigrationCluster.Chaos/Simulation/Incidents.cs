using System.Collections.Immutable;
using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>What a seed stands for: how large a fleet is, and everything that happens to it.</summary>
internal sealed record Plan(
    int Hosts, int Coordinators, int Guests, bool Shuffled, ImmutableArray<PlannedDevice> Shape, TimeSpan Faulty,
    IReadOnlyList<Incident> Incidents)
{
    public static Plan Of(int seed)
    {
        // Apart from the run's own chance: leaving an incident out changes no other.
        var random = new Random(unchecked(seed * (int)2654435761));
        int hosts = random.Next(2, 5), coordinators = random.Next(1, 4), guests = random.Next(1, 5);
        bool shuffled = random.Next(2) == 0;
        var shape = random.Next(3) switch { 0 => GuestShape.Single, 1 => GuestShape.Pair, _ => GuestShape.PairAndLoner };
        var faulty = TimeSpan.FromMilliseconds(random.Next(15_000, 45_000));
        var draw = new Drawing(random, hosts, coordinators, guests, shape, faulty);
        return new Plan(hosts, coordinators, guests, shuffled, shape, faulty, draw.All());
    }
}

/// <summary>Draws the incidents of one seed.</summary>
internal sealed class Drawing(
    Random random, int hosts, int coordinators, int guests, ImmutableArray<PlannedDevice> shape, TimeSpan faulty)
{
    public IReadOnlyList<Incident> All()
    {
        var drawn = new List<Incident>();
        for (int i = random.Next(2, 4 + guests); i > 0; i--) drawn.Add(Migrate());
        // Not every kind in every seed: what is always masked by something else would never be seen by itself.
        Func<Incident>[] kinds = [.. Kinds().Where(_ => random.Next(2) == 0)];
        int faults = random.Next(4) switch { 0 => random.Next(0, 3), 1 => random.Next(2, 7), _ => random.Next(5, 20) };
        for (int i = 0; i < faults && kinds.Length > 0; i++) drawn.Add(kinds[random.Next(kinds.Length)]());
        // Last, and no fault: whether there are any changes nothing else of the seed.
        for (int i = random.Next(3); i > 0; i--) drawn.Add(LimitBandwidth());
        return [.. drawn.OrderBy(incident => incident.At)];
    }

    private Func<Incident>[] Kinds() =>
    [
        DaemonDies, DaemonStops, DaemonEnds, CoordinatorDies, CoordinatorStops, CoordinatorEnds, HostIsCutOff, LinkIsCut, DataIsCut, MessagesAreLost,
        MessagesComeAgain, MessagesAreLate, StoreIsDown, StoreIsCutOff, StoreIsSlow, StoreLosesPower, AnswersAreLost, GuestDies, DeviceFails,
        EffectsFail, EffectsAreSlow, PowerFails, ClockJumps, Cancel,
    ];

    private Incident Migrate()
    {
        int guest = random.Next(guests), by = random.Next(1, hosts), coordinator = random.Next(coordinators);
        return new Incident(At(0.8), TimeSpan.Zero, $"operator asks c{coordinator + 1} to migrate g{guest + 1}",
            fleet => fleet.Migrate(guest, by, coordinator));
    }

    private Incident Cancel()
    {
        int guest = random.Next(guests);
        return new Incident(At(), TimeSpan.Zero, $"operator cancels the migration of g{guest + 1}", fleet => fleet.Cancel(guest));
    }

    private Incident LimitBandwidth()
    {
        int guest = random.Next(guests);
        long? limit = random.Next(3) == 0 ? null : random.NextInt64(1 << 20, 1 << 30);
        return new Incident(At(), TimeSpan.Zero, $"operator has the migration of g{guest + 1} keep to another bandwidth",
            fleet => fleet.LimitBandwidth(guest, limit));
    }

    private Incident DaemonDies()
    {
        int host = random.Next(hosts);
        return Lasting(6_000, $"the daemon on h{host + 1} dies", fleet => fleet.Host(host).Kill(), fleet => fleet.Host(host).Start());
    }

    private Incident DaemonStops()
    {
        int host = random.Next(hosts);
        return Lasting(14_000, $"the daemon on h{host + 1} is stopped",
            fleet => fleet.Host(host).Process?.Stop(), fleet => fleet.Host(host).Process?.Continue());
    }

    private Incident DaemonEnds()
    {
        int host = random.Next(hosts);
        return Lasting(6_000, $"the daemon on h{host + 1} is asked to end",
            fleet => fleet.Host(host).Shutdown(), fleet => fleet.Host(host).Revive());
    }

    private Incident CoordinatorDies()
    {
        int coordinator = random.Next(coordinators);
        return Lasting(6_000, $"c{coordinator + 1} dies",
            fleet => fleet.Coordinator(coordinator).Kill(), fleet => fleet.Coordinator(coordinator).Start());
    }

    private Incident CoordinatorStops()
    {
        int coordinator = random.Next(coordinators);
        return Lasting(8_000, $"c{coordinator + 1} is stopped",
            fleet => fleet.Coordinator(coordinator).Process?.Stop(), fleet => fleet.Coordinator(coordinator).Process?.Continue());
    }

    private Incident CoordinatorEnds()
    {
        int coordinator = random.Next(coordinators);
        return Lasting(6_000, $"c{coordinator + 1} is asked to end",
            fleet => fleet.Coordinator(coordinator).Shutdown(), fleet => fleet.Coordinator(coordinator).Revive());
    }

    private Incident HostIsCutOff()
    {
        string host = $"h{random.Next(hosts) + 1}";
        return Lasting(15_000, $"{host} is cut off from everybody", fleet => fleet.CutOff(host, true), fleet => fleet.CutOff(host, false));
    }

    private Incident LinkIsCut()
    {
        (string host, string coordinator) = ($"h{random.Next(hosts) + 1}", $"c{random.Next(coordinators) + 1}");
        (string from, string to) = random.Next(2) == 0 ? (host, coordinator) : (coordinator, host);
        return Lasting(15_000, $"nothing of {from} reaches {to}",
            fleet => fleet.Weather.Cut(from, to, true), fleet => fleet.Weather.Cut(from, to, false));
    }

    private Incident DataIsCut()
    {
        (int one, int other) = (random.Next(hosts), random.Next(1, hosts));
        (string from, string to) = ($"h{one + 1}", $"h{((one + other) % hosts) + 1}");
        return Lasting(5_000, $"no data of {from} reaches {to}",
            fleet => fleet.Weather.Cut(from, to, true), fleet => fleet.Weather.Cut(from, to, false));
    }

    private Incident MessagesAreLost()
    {
        int perMille = random.Next(10, 400);
        return Lasting(10_000, $"{perMille} of 1000 messages are lost",
            fleet => fleet.Weather.LossPerMille += perMille, fleet => fleet.Weather.LossPerMille -= perMille);
    }

    private Incident MessagesComeAgain()
    {
        int perMille = random.Next(50, 500);
        return Lasting(20_000, $"{perMille} of 1000 orders come again, later",
            fleet => fleet.Weather.RepeatPerMille += perMille, fleet => fleet.Weather.RepeatPerMille -= perMille);
    }

    private Incident MessagesAreLate()
    {
        int delay = random.Next(10, 4_000);
        return Lasting(12_000, $"messages take up to {delay} ms longer",
            fleet => fleet.Weather.Delay += delay, fleet => fleet.Weather.Delay -= delay);
    }

    private Incident StoreIsDown() => Lasting(12_000, "the store is down",
        fleet => fleet.StoreDown(true), fleet => fleet.StoreDown(false));

    private Incident StoreIsCutOff()
    {
        string coordinator = $"c{random.Next(coordinators) + 1}";
        return Lasting(8_000, $"{coordinator} and the store are cut off from each other",
            fleet => fleet.Cut(coordinator, Weather.Store, true), fleet => fleet.Cut(coordinator, Weather.Store, false));
    }

    private Incident StoreIsSlow()
    {
        int delay = random.Next(10, 2_500);
        return Lasting(10_000, $"the store takes up to {delay} ms longer",
            fleet => fleet.Weather.StoreDelay += delay, fleet => fleet.Weather.StoreDelay -= delay);
    }

    private Incident StoreLosesPower() => Lasting(4_000, "the store's power fails",
        fleet => fleet.CutStorePower(), fleet => fleet.StoreDown(false));

    private Incident AnswersAreLost()
    {
        int perMille = random.Next(20, 300);
        return Lasting(10_000, $"{perMille} of 1000 of the store's answers are lost",
            fleet => fleet.Weather.LostAnswersPerMille += perMille, fleet => fleet.Weather.LostAnswersPerMille -= perMille);
    }

    private Incident GuestDies()
    {
        (int host, int guest) = (random.Next(hosts), random.Next(guests));
        return new Incident(At(), TimeSpan.Zero, $"the process of g{guest + 1} on h{host + 1} dies", fleet => fleet.Die(host, guest));
    }

    private Incident DeviceFails()
    {
        (int host, int guest) = (random.Next(hosts), random.Next(guests));
        var device = shape[random.Next(shape.Length - 1)].Name;
        return new Incident(At(), TimeSpan.Zero, $"{device} of g{guest + 1} on h{host + 1} fails", fleet => fleet.Break(host, guest, device));
    }

    private Incident EffectsFail()
    {
        int perMille = random.Next(10, 300);
        return Lasting(15_000, $"{perMille} of 1000 effects fail",
            fleet => fleet.Weather.FailuresPerMille += perMille, fleet => fleet.Weather.FailuresPerMille -= perMille);
    }

    private Incident EffectsAreSlow()
    {
        int slowness = random.Next(50, 6_000);
        return Lasting(12_000, $"effects take up to {slowness} ms longer",
            fleet => fleet.Weather.Slowness += slowness, fleet => fleet.Weather.Slowness -= slowness);
    }

    private Incident PowerFails()
    {
        int host = random.Next(hosts);
        return Lasting(8_000, $"the power of h{host + 1} fails", fleet => fleet.CutPower(host), fleet => fleet.Host(host).Start());
    }

    private Incident ClockJumps()
    {
        var by = TimeSpan.FromMilliseconds(random.Next(-60_000, 60_000));
        if (random.Next(2) == 0)
        {
            int host = random.Next(hosts);
            return new Incident(At(), TimeSpan.Zero, $"the wall clock of h{host + 1} jumps by {by.TotalSeconds:F1} s", fleet => fleet.Jump(host, by));
        }

        int coordinator = random.Next(coordinators);
        return new Incident(At(), TimeSpan.Zero, $"the wall clock of c{coordinator + 1} jumps by {by.TotalSeconds:F1} s",
            fleet => fleet.JumpCoordinator(coordinator, by));
    }

    private Incident Lasting(int milliseconds, string words, Action<SimulatedFleet> begin, Action<SimulatedFleet> end) =>
        new(At(), TimeSpan.FromMilliseconds(random.Next(50, milliseconds)), words, begin, end);

    private TimeSpan At(double share = 1) => TimeSpan.FromTicks((long)(random.NextInt64(faulty.Ticks) * share));
}
