using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Rules;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Threads;

/// <summary>The chained handlers of 002_4d4fb1181a5ce63e.txt: success overrides the default, a positive value goes on to it.</summary>
public sealed class T002HandlerChainTests
{
    private static readonly DeviceDescriptor Acme = Nic() with { Model = "acme.example/nic", Driver = new DriverDescriptor("acme", "7") };

    private static readonly HandlerChain Chain = new([new AcmeHandler(), new GenericHandler()]);

    [Fact]
    public void T002_a_handler_that_handles_overrides_the_default()
    {
        var newer = Acme with { StreamFormatsWritten = ["acme/2"] };
        Assert.IsType<Incompatible>(Judge(newer, Acme));

        var judgement = Chain.Judge(new Candidate(newer, Acme));
        Assert.Equal("acme", judgement.Handler);
        Assert.IsType<Compatible>(judgement.Verdict);
    }

    [Fact]
    public void T002_a_handler_that_refuses_overrides_the_default()
    {
        var old = Acme with { Driver = new DriverDescriptor("acme", "6") };
        Accepts(Acme, old);

        var judgement = Chain.Judge(new Candidate(Acme, old));
        Assert.Equal("acme", judgement.Handler);
        Assert.Equal("acme.firmware", Assert.Single(Assert.IsType<Incompatible>(judgement.Verdict).Reasons).Code);
    }

    [Fact]
    public void T002_a_handler_that_passes_on_leaves_it_to_the_default() =>
        Assert.Equal("generic", Chain.Judge(new Candidate(Nic(), Nic())).Handler);

    [Fact]
    public void T002_without_a_vendors_handler_the_default_decides() =>
        Assert.Equal("generic", new HandlerChain([new GenericHandler()]).Judge(new Candidate(Acme, Acme)).Handler);

    [Fact]
    public void T002_a_chain_in_which_everybody_passes_on_knows_nothing() =>
        Assert.IsType<Unknown>(new HandlerChain([new AcmeHandler()]).Judge(new Candidate(Nic(), Nic())).Verdict);

    /// <summary>The worked example of docs/compatibility.md.</summary>
    private sealed class AcmeHandler : ICompatibilityHandler
    {
        public string Name => "acme";

        public Verdict? Judge(Candidate candidate)
        {
            if (candidate.Source.Model != "acme.example/nic") return null;
            var findings = new Findings();
            ShapeRule.Check(candidate, ref findings);
            if (candidate.Destination.Driver?.Version is not "7")
                findings.Refuse("acme.firmware", "driver 7", candidate.Destination.Driver?.Version ?? "none", "install acme's driver 7");
            return findings.ToVerdict();
        }
    }
}
