using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>A coordinator's daemon, which lives again and again.</summary>
internal sealed class SimulatedCoordinator(string name, World world)
{
    private static readonly TimeSpan BeforeRestart = TimeSpan.FromSeconds(1);

    private Migrations? _migrations;
    private Func<Task> _end = () => Task.CompletedTask;

    public string Name => name;

    public SimulatedProcess? Process { get; private set; }

    public TimeSpan Skew { get; set; }

    public void Start()
    {
        if (Process is { IsAlive: true }) return;
        var process = Process = new SimulatedProcess(world.Time, Skew);
        var engine = new SimulatedEngine(
            world.Store, world.Time, name, world.Weather, world.Build.Surroundings);
        Migrations? migrations = null;
        var agents = new AgentDirectory(
            engine, engine,
            member => new SimulatedAgentApi(name, world.HostOf(member.Name), world.Time, world.Weather),
            () => migrations!, process.Clock, NullLogger<AgentDirectory>.Instance);
        var questions = new VersionQuestions(agents);
        var choice = new DestinationChoice(agents, new MigrationPlanner(agents, questions, HandlerChain.Default), questions);
        var node = new NodeIdentity(new HostName(name), name);
        _migrations = migrations = new Migrations(
            engine, engine, engine, agents, choice, world.Build.Coordinator, world.NewId, node, world.Observer, process.Clock);
        var tenures = new Tenures(
            migrations, engine, node, process.Clock, NullLogger<Tenures>.Instance);
        _end = async () =>
        {
            await agents.StopAsync(CancellationToken.None);
            await tenures.StopAsync(CancellationToken.None);
        };
        process.Post(async () =>
        {
            try
            {
                await tenures.StartAsync(CancellationToken.None);
                await agents.StartAsync(CancellationToken.None);
            }
            catch (IOException)
            {
                // A node that cannot read the store at its start ends, and is started again.
                process.Kill();
                world.Time.After(BeforeRestart, Start);
            }
        });
    }

    public void Kill() => Process?.Kill();

    /// <summary>Starts again what was asked to end, whether or not it has.</summary>
    public void Revive()
    {
        Kill();
        Start();
    }

    /// <summary>The daemon is asked to end: it hands over.</summary>
    public void Shutdown()
    {
        if (Process is not { IsAlive: true } process) return;
        var end = _end;
        process.Post(async () =>
        {
            await end();
            process.Kill();
        });
    }

    /// <summary>An operator asks this coordinator to migrate a guest.</summary>
    public void Migrate(GuestName guest, HostName to) => Ask(async migrations => await migrations.CreateAsync(
        new MigrateRequest(guest.Value, to.Value, AcceptUnknownBy: "the simulation"), CancellationToken.None) is { Refusal: { } refusal }
        ? $"{refusal.Error.Code}: {refusal.Error.Message}"
        : "begun");

    public void Cancel(MigrationId migration) => Ask(async migrations =>
        await migrations.CancelAsync(migration.Value, CancellationToken.None) is { Refusal: { } refusal }
            ? $"{refusal.Error.Code}: {refusal.Error.Message}"
            : $"{migration} cancelled");

    public void LimitBandwidth(MigrationId migration, long? maxBytesPerSecond) => Ask(async migrations =>
        await migrations.LimitBandwidthAsync(migration.Value, new BandwidthRequest(maxBytesPerSecond), CancellationToken.None) is { Refusal: { } refusal }
            ? $"{refusal.Error.Code}: {refusal.Error.Message}"
            : $"{migration} keeps to {maxBytesPerSecond?.ToString(CultureInfo.InvariantCulture) ?? "no limit"}");

    private void Ask(Func<Migrations, Task<string>> question)
    {
        if (Process is not { IsAlive: true } process || _migrations is not { } migrations) return;
        process.Post(async () =>
        {
            try
            {
                string answer = await question(migrations);
                world.Observer.Say($"  {name} answers: {answer}");
            }
            catch (Exception error) when (Observer.IsOperating(error))
            {
                world.Observer.Say($"  {name} answers: {error.Message}");
            }
        });
    }
}
