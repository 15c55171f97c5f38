using MigrationCluster.Node.Agents;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Compatibility;

/// <summary>
/// Opaque version strings are the vendor's: only a destination's own attribute can judge one. Each host that has such an attribute
/// for a class is asked once for each distinct string.
/// </summary>
public sealed class VersionQuestions(IAgents agents)
{
    /// <param name="sources">class and device of whatever might move.</param>
    /// <param name="hosts">where it might go.</param>
    /// <returns>by class; what a host did not answer reads as not asked.</returns>
    public async Task<IReadOnlyDictionary<string, VersionAnswers>> AskAsync(
        IEnumerable<(string Class, DeviceDescriptor Device)> sources, IReadOnlyList<(HostName Host, AgentOffers Offers)> hosts,
        CancellationToken cancellationToken)
    {
        var strings = sources.Where(source => source.Device.VersionString is not null)
            .Select(source => (source.Class, Version: source.Device.VersionString!)).Distinct();
        var questions = strings.SelectMany(source => hosts
            .Where(host => host.Offers.VersionClasses?.Contains(source.Class) == true)
            .Select(host => (source.Class, source.Version, host.Host)));
        var answers = await Task.WhenAll(questions.Select(async question => (Question: question, Answer: await AskAsync(question, cancellationToken))));
        return answers.GroupBy(answer => answer.Question.Class).ToDictionary(byClass => byClass.Key, byClass =>
        {
            var known = byClass.ToDictionary(answer => (answer.Question.Version, answer.Question.Host), answer => answer.Answer);
            return (VersionAnswers)((version, host) => known.GetValueOrDefault((version, host)));
        });
    }

    private async Task<VersionAnswer> AskAsync((string Class, string Version, HostName Host) question, CancellationToken cancellationToken)
    {
        try
        {
            return await agents.AskVersionAsync(question.Host, question.Class, question.Version, cancellationToken);
        }
        catch (AgentUnreachableException)
        {
            return VersionAnswer.NotAsked;
        }
    }
}
