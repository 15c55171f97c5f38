using System.Text.Json.Serialization;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>The guest's own checks, before it moved and after.</summary>
public sealed record DemoSelfCheck(SelfCheckView Before, SelfCheckView After)
{
    /// <summary>Pages looked at by the check after the migration.</summary>
    public long Pages => After.Pages;

    /// <summary>Found wrong by either check.</summary>
    public long Wrong => Before.Wrong + After.Wrong;

    /// <summary>Errors the guest met in its ordinary work, from its start to the second check.</summary>
    public long WorkErrors => After.WorkErrors;

    /// <summary>Nothing wrong, and the guest went on working in between: a guest that stands still finds no error either.</summary>
    [JsonIgnore]
    public bool Clean => Wrong == 0 && WorkErrors == 0 && Before.WorkErrors == 0 && After.Pages > 0
        && After.Pages == Before.Pages && After.PageWrites > Before.PageWrites;
}
