using System.Text.Json.Serialization;

namespace MigrationCluster.Api;

/// <summary>The serializers of what <see cref="Json"/> carries, made when this is built.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ApiError))]
[JsonSerializable(typeof(BandwidthRequest))]
[JsonSerializable(typeof(CompatBaselineView))]
[JsonSerializable(typeof(CompatCheckView))]
[JsonSerializable(typeof(CompatExplainView))]
[JsonSerializable(typeof(GuestPlanView))]
[JsonSerializable(typeof(GuestSpec))]
[JsonSerializable(typeof(Hello))]
[JsonSerializable(typeof(IReadOnlyList<CompatMatrixView>))]
[JsonSerializable(typeof(IReadOnlyList<GuestView>))]
[JsonSerializable(typeof(IReadOnlyList<MigrationView>))]
[JsonSerializable(typeof(IReadOnlyList<NodeView>))]
[JsonSerializable(typeof(MigrateRequest))]
[JsonSerializable(typeof(ReconcileRequest))]
[JsonSerializable(typeof(ReconcileView))]
[JsonSerializable(typeof(SelfCheckView))]
[JsonSerializable(typeof(StartGuestRequest))]
[JsonSerializable(typeof(WhyView))]
internal sealed partial class ApiJsonContext : JsonSerializerContext;
