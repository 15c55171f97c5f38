using FsCheck;
using FsCheck.Fluent;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Json;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Protocol.Tests.Compatibility;

public sealed class VerdictPropertiesTests
{
    private static readonly Config Many = Config.QuickThrowOnFailure.WithMaxTest(3000);

    private static readonly Arbitrary<int> Seeds = Gen.Choose(0, int.MaxValue).ToArbitrary();

    [Fact]
    public void A_verdict_never_throws_and_says_why_and_travels() => Prop.ForAll(Seeds, seed =>
    {
        var random = new RandomDescriptors(seed, wild: true);
        var source = random.Any();
        foreach (var own in new[] { random.Any(), random.Near(source), source })
        {
            var verdict = HandlerChain.Default.Judge(new Candidate(source, own, random.Answer())).Verdict;
            Assert.All(ReasonsOf(verdict) ?? [], reason => Assert.All(
                new[] { reason.Code, reason.Expected, reason.Actual, reason.Remedy }, text => Assert.False(string.IsNullOrEmpty(text))));
            Assert.NotEqual([], ReasonsOf(verdict));
            Assert.Equivalent(verdict, SetupJson.ReadVerdict(SetupJson.Write(verdict)), strict: true);
        }
    }).Check(Many);

    [Fact]
    public void What_a_destination_loses_never_turns_a_refusal_into_a_yes()
    {
        var seen = new Dictionary<(Type, Type), int>();
        Prop.ForAll(Seeds, seed =>
        {
            var random = new RandomDescriptors(seed);
            var source = random.Any() with { Kind = DescriptorKind.Device };
            var own = random.Near(source);
            var answer = random.Answer();
            var before = HandlerChain.Default.Judge(new Candidate(source, own, answer)).Verdict;
            foreach (var poorer in Losses(own))
            {
                var after = HandlerChain.Default.Judge(new Candidate(source, poorer, answer)).Verdict;
                Assert.True(before is Compatible || after is not Compatible, $"{before} became {after} when {own} became {poorer}");
                var kinds = (before.GetType(), after.GetType());
                seen[kinds] = seen.GetValueOrDefault(kinds) + 1;
            }
        }).Check(Many);

        // It has seen what it is about, or it shows nothing.
        foreach (var before in new[] { typeof(Compatible), typeof(Incompatible), typeof(Unknown) })
            Assert.True(seen.Where(kinds => kinds.Key.Item1 == before).Sum(kinds => kinds.Value) > 300, $"{before.Name} was rare");
        Assert.True(seen[(typeof(Compatible), typeof(Incompatible))] > 30);
    }

    [Fact]
    public void A_device_made_of_an_accepted_template_with_the_sources_values_is_accepted()
    {
        int accepted = 0;
        Prop.ForAll(Seeds, seed =>
        {
            var random = new RandomDescriptors(seed);
            var source = random.Any() with { Kind = DescriptorKind.Device };
            var template = random.Near(source) with { Kind = DescriptorKind.Template };
            if (HandlerChain.Default.Judge(new Candidate(source, template, VersionAnswer.Accepted)).Verdict is not Compatible) return;
            accepted++;
            var made = HandlerChain.Default.Judge(new Candidate(source, Instantiated(template, source), VersionAnswer.Accepted)).Verdict;
            Assert.True(made is Compatible, $"{made}");
        }).Check(Many);
        Assert.True(accepted > 100, $"only {accepted} templates were accepted");
    }

    [Fact]
    public void A_descriptor_is_read_as_it_was_written() => Prop.ForAll(Seeds, seed =>
    {
        var descriptor = new RandomDescriptors(seed).Any();
        byte[] json = DescriptorJson.Write(descriptor);
        Assert.True(DescriptorJson.TryRead(json, out var read, out var refusal), $"{refusal}");
        Assert.Equal(json, DescriptorJson.Write(read));
    }).Check(Many);

    [Fact]
    public void A_text_with_some_bytes_changed_is_judged_or_refused_and_never_thrown()
    {
        int read = 0, refused = 0;
        Prop.ForAll(Seeds, seed =>
        {
            var random = new RandomDescriptors(seed);
            var descriptor = random.Any();
            byte[] json = DescriptorJson.Write(descriptor);
            int[] digits = [.. Enumerable.Range(0, json.Length).Where(at => char.IsAsciiDigit((char)json[at]))];
            for (int i = random.Next(3); i >= 0; i--)
                if (digits.Length > 0 && random.Next(4) > 0) json[digits[random.Next(digits.Length)]] = (byte)('0' + random.Next(10));
                else json[random.Next(json.Length)] = (byte)random.Next(256);
            if (DescriptorJson.TryRead(json, out var mutated, out _))
            {
                read++;
                Assert.NotNull(HandlerChain.Default.Judge(new Candidate(descriptor, mutated)).Verdict);
                Assert.NotNull(HandlerChain.Default.Judge(new Candidate(mutated, descriptor)).Verdict);
            }
            else
            {
                refused++;
            }
        }).Check(Many);
        Assert.True(read > 30 && refused > 30, $"{read} read, {refused} refused");
    }

    private static IReadOnlyList<CompatibilityReason>? ReasonsOf(Verdict verdict) => verdict switch
    {
        Incompatible incompatible => incompatible.Reasons,
        Unknown unknown => unknown.Why,
        _ => null,
    };

    /// <summary>The destination without one capability, supported value, listed set, readable section or stream format.</summary>
    private static IEnumerable<DeviceDescriptor> Losses(DeviceDescriptor own)
    {
        foreach (var capability in Enum.GetValues<MigrationCapabilities>())
            if (own.Capabilities is { } capabilities && (capabilities & capability) != 0)
                yield return own with { Capabilities = capabilities & ~capability };
        for (int i = 0; i < own.Lists?.Compatible.Count; i++)
            yield return own with { Lists = own.Lists with { Compatible = Without(own.Lists.Compatible, i) } };
        for (int i = 0; i < own.SectionsRead.Count; i++) yield return own with { SectionsRead = Without(own.SectionsRead, i) };
        for (int i = 0; i < own.StreamFormatsRead.Count; i++) yield return own with { StreamFormatsRead = Without(own.StreamFormatsRead, i) };
        for (int i = 0; i < own.Parameters.Count; i++)
            foreach (var supported in Losses(own.Parameters[i].Supported))
                yield return own with { Parameters = [.. own.Parameters.Select((p, at) => at == i ? p with { Supported = supported } : p)] };
    }

    private static IEnumerable<SupportedValues> Losses(SupportedValues? supported)
    {
        for (int i = 0; i < supported?.Values?.Count; i++) yield return supported with { Values = Without(supported.Values, i) };
        if (supported is { Minimum: { } minimum, Maximum: { } maximum } && minimum < maximum)
        {
            yield return SupportedValues.Range(minimum + 1, maximum);
            yield return SupportedValues.Range(minimum, maximum - 1);
        }
    }

    private static List<T> Without<T>(IReadOnlyList<T> items, int index) => [.. items.Where((_, at) => at != index)];

    /// <summary>As a host creates it: the source's values where the template lets it choose, and a shape where the template had none.</summary>
    private static DeviceDescriptor Instantiated(DeviceDescriptor template, DeviceDescriptor source) => template with
    {
        Kind = DescriptorKind.Device,
        Identity = template.Identity ?? source.Identity,
        Regions = source.Regions,
        Interrupts = source.Interrupts,
        ConfigCapabilities = source.ConfigCapabilities,
        Capabilities = template.Capabilities ?? source.Capabilities,
        Parameters = [.. template.Parameters.Select(parameter => parameter.Supported is null ? parameter
            : parameter with { Value = source.Parameters.FirstOrDefault(p => p.Name == parameter.Name)?.Value ?? parameter.Off })],
    };
}
