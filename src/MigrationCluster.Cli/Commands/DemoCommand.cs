using System.CommandLine;
using MigrationCluster.Cli.Demo;

namespace MigrationCluster.Cli.Commands;

public static class DemoCommand
{
    public static Command Build(Terminal terminal, Interruption interruption)
    {
        var memory = UnitOptions.Memory();
        var dirtyRate = UnitOptions.DirtyRate();
        var devices = Devices();
        var maxDowntime = UnitOptions.MaxDowntime();
        var keep = new Option<bool>("--keep") { Description = "leave the cluster running, and say how to talk to it and how to end it" };
        var demo = new Command("demo",
            "Starts two nodes and a guest at work on this machine, moves the guest live from one to the other, proves that " +
            "nothing was lost, and leaves nothing behind.")
        {
            memory, dirtyRate, devices, maxDowntime, keep,
        };
        Invocation.Handle(demo, terminal, interruption, (run, cancellationToken) => new DemoRun(run, new DemoSettings(
            memory.Read(run.Parse), dirtyRate.Read(run.Parse), run.Parse.GetRequiredValue(devices).Split(','),
            maxDowntime.Read(run.Parse), run.Parse.GetValue(keep))).RunAsync(cancellationToken));
        return demo;
    }

    private static Option<string> Devices()
    {
        var option = new Option<string>("--devices")
        {
            Description = "the guest's devices, kinds separated by commas: net, gpu, serial",
            HelpName = "KINDS",
            DefaultValueFactory = _ => "net,gpu,serial,net",
        };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { } text) return;
            string[] kinds = text.Split(',');
            if (kinds.Length <= DemoSettings.MostDevices && kinds.All(DemoSettings.Templates.ContainsKey)) return;
            result.AddError($"--devices {text}: accepted are 1 to {DemoSettings.MostDevices} of " +
                $"{string.Join(", ", DemoSettings.Templates.Keys)}, separated by commas, e.g. net,gpu,serial,net");
        });
        return option;
    }
}
