using System.CommandLine;

namespace MigrationCluster.Cli.Commands;

/// <summary>An option whose value carries a unit. It stays text until it is read, so that help shows the default as one
/// would write it; a wrong one is a usage error that says what is accepted.</summary>
public sealed class UnitOption<T> : Option<string>
{
    private readonly TryRead _tryRead;

    public UnitOption(string name, string standard, string form, TryRead tryRead, string range, Func<T, bool> isInRange)
        : base(name)
    {
        _tryRead = tryRead;
        DefaultValueFactory = _ => standard;
        Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { } text) return;
            if (!tryRead(text, out var value)) result.AddError($"{name} {text}: accepted is {form}");
            else if (!isInRange(value)) result.AddError($"{name} {text}: accepted is {range}");
        });
    }

    public delegate bool TryRead(string text, out T value);

    public T Read(ParseResult parse) => _tryRead(parse.GetRequiredValue(this), out var value)
        ? value
        : throw new InvalidOperationException($"{Name} was read before it was validated");
}
