using MigrationCluster.Api;

namespace MigrationCluster.Cli;

/// <summary>What a script learns from migctl without reading its output.</summary>
public static class ExitCodes
{
    public const int Done = 0;
    public const int Error = 1;
    public const int Usage = 2;
    public const int Refused = 3;

    /// <summary>A limit ended the migration; the guest runs on the source.</summary>
    public const int Aborted = 4;
    public const int Cancelled = 5;

    /// <summary>The guest runs on the destination, but the source could not release everything.</summary>
    public const int Residue = 6;
    public const int InDoubt = 7;

    /// <summary>128 + SIGINT: this program stopped, what it watched goes on.</summary>
    public const int Interrupted = 130;

    /// <param name="migration">one that has ended, or that is not watched any longer.</param>
    public static int Of(MigrationView migration) => migration.Outcome switch
    {
        Outcomes.Completed => HasResidue(migration) ? Residue : Done,
        Outcomes.Refused => Refused,
        Outcomes.Aborted => Aborted,
        Outcomes.Cancelled => Cancelled,
        Outcomes.InDoubt or Outcomes.Running => InDoubt,
        _ => Error,
    };

    public static int Of(ApiError error) => error.Code switch
    {
        ErrorCodes.BadRequest or ErrorCodes.BadSpec => Usage,
        ErrorCodes.Refused or ErrorCodes.NoHost or ErrorCodes.SameHost or ErrorCodes.GuestMigrating or ErrorCodes.GuestExists
            or ErrorCodes.TooLate or ErrorCodes.NotInPreCopy or ErrorCodes.MigrationEnded or ErrorCodes.HostAnswers or ErrorCodes.PlanChanged => Refused,
        // What a host has no room or template for: destination.memory, destination.template and later ones.
        _ when error.Code.StartsWith("destination.", StringComparison.Ordinal) => Refused,
        _ => Error,
    };

    public static bool HasResidue(MigrationView migration) =>
        migration.Outcome == Outcomes.Completed && (migration.Reasons.Count > 0 || migration.Report?.Residue.Count > 0);
}
