using System.Text.Json.Serialization;
using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Journal;

/// <summary>The serializers of what <see cref="WireJson"/> carries, made when this is built.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, UseStringEnumConverter = true)]
[JsonSerializable(typeof(AgentCommand))]
[JsonSerializable(typeof(AgentEvent))]
[JsonSerializable(typeof(CoordinatorEvent))]
[JsonSerializable(typeof(AgentHello))]
[JsonSerializable(typeof(AgentOffers))]
[JsonSerializable(typeof(EventBatch))]
[JsonSerializable(typeof(AdmitOrder))]
[JsonSerializable(typeof(Admission))]
[JsonSerializable(typeof(StartOrder))]
[JsonSerializable(typeof(StopOrder))]
[JsonSerializable(typeof(VersionOrder))]
[JsonSerializable(typeof(VersionReply))]
[JsonSerializable(typeof(HostTraces))]
[JsonSerializable(typeof(HostedGuestState))]
[JsonSerializable(typeof(IReadOnlyList<AgentEvent>))]
[JsonSerializable(typeof(Inventory))]
[JsonSerializable(typeof(GuestSetup))]
[JsonSerializable(typeof(SelfCheckView))]
[JsonSerializable(typeof(BandwidthRequest))]
[JsonSerializable(typeof(ApiError))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(object))]
internal sealed partial class WireJsonContext : JsonSerializerContext;
