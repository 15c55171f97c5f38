using System.Text.Json.Serialization;

namespace MigrationCluster.Api;

/// <summary>Every failing reply's body. All reasons at once, each with what to do about it.</summary>
/// <param name="Code">stable, see <see cref="ErrorCodes"/>.</param>
/// <param name="Message">one sentence naming what and where.</param>
public sealed record ApiError(string Code, string Message, IReadOnlyList<Reason> Reasons);

/// <param name="Code">stable, e.g. destination.memory.</param>
/// <param name="Remedy">what the operator can do about it.</param>
/// <param name="Device">the device it is about; null: the guest or a host.</param>
/// <param name="Expected">what the source has; null where there is nothing to compare.</param>
/// <param name="Actual">what the destination has.</param>
/// <param name="Side">where the remedy has to be applied, see <see cref="ReasonSides"/>; null: either.</param>
/// <param name="Host">where several are in question, the one it is about.</param>
public sealed record Reason(
    string Code,
    string Message,
    string Remedy,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Device = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Expected = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Actual = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Side = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Host = null);

public static class ReasonSides
{
    public const string Source = "source";
    public const string Destination = "destination";
}

public static class ErrorCodes
{
    public const string BadRequest = "bad-request";
    public const string BadSpec = "guest.bad-spec";
    public const string GuestUnknown = "guest.unknown";
    public const string GuestExists = "guest.exists";
    public const string GuestMigrating = "guest.migrating";
    public const string HostUnknown = "host.unknown";
    public const string HostNameTaken = "host.name-taken";
    public const string HostAnswers = "host.answers";
    public const string HostUnreachable = "host.unreachable";
    public const string SameHost = "migration.same-host";
    public const string Refused = "migration.refused";
    public const string NoHost = "migration.no-host";
    public const string ClassUnknown = "class.unknown";
    public const string DeviceUnknown = "device.unknown";
    public const string MigrationUnknown = "migration.unknown";
    public const string MigrationEnded = "migration.ended";
    public const string PlanChanged = "plan.changed";
    public const string NotInPreCopy = "migration.not-in-pre-copy";
    public const string TooLate = "migration.too-late-to-cancel";
    public const string NotCoordinator = "node.not-coordinator";
    public const string WireVersion = "wire.version";

    /// <summary>None was given or presented, or its folder cannot be read.</summary>
    public const string CertificateMissing = "certificate.missing";

    /// <summary>Not issued by the cluster's authority.</summary>
    public const string CertificateUntrusted = "certificate.untrusted";

    /// <summary>Not valid any more, or not yet.</summary>
    public const string CertificateExpired = "certificate.expired";

    /// <summary>Of somebody else, or for another address.</summary>
    public const string CertificateWrongName = "certificate.wrong-name";

    /// <summary>The certificate is good, but its holder may not ask for this.</summary>
    public const string CallerRefused = "caller.refused";
    public const string Internal = "internal";
}

/// <summary>A reply that was an error, or no reply at all (<see cref="Unreachable"/>).</summary>
public sealed class ApiException(ApiError error, int httpStatus) : Exception(error.Message)
{
    public const int Unreachable = 0;

    public ApiError Error { get; } = error;
    public int HttpStatus { get; } = httpStatus;
}
