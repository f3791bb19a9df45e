using System.Text;
using Google.Protobuf.Reflection;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Worker.Configuration;
using Starlight.TestKit;

namespace Starlight.Architecture.Tests.Approved;

/// <summary>What programs rely on: the daemon's messages on the wire, and its configuration file.</summary>
public sealed class DaemonTests
{
    [Fact]
    public void Protocol_IsAsApproved()
    {
        FileDescriptor file = DaemonReflection.Descriptor;
        StringBuilder text = new();
        foreach (ServiceDescriptor service in file.Services)
        {
            text.Append($"service {service.FullName}\n");
            foreach (MethodDescriptor method in service.Methods)
            {
                text.Append($"  {method.Name}({Stream(method.IsClientStreaming)}{method.InputType.FullName}) returns {Stream(method.IsServerStreaming)}{method.OutputType.FullName}\n");
            }
        }

        foreach (MessageDescriptor message in file.MessageTypes)
        {
            Describe(message, text);
        }

        foreach (EnumDescriptor values in file.EnumTypes)
        {
            text.Append($"enum {values.FullName}\n");
            foreach (EnumValueDescriptor value in values.Values)
            {
                text.Append($"  {value.Number} {value.Name}\n");
            }
        }

        ApprovedFile.Matches("daemon.proto", text.ToString());
    }

    [Fact]
    public void ConfigurationFile_OfAFirstStart_IsAsApproved()
    {
        string directory = Directory.CreateTempSubdirectory("starlight-config").FullName;
        try
        {
            string path = Path.Combine(directory, "starlight-daemon.json");
            string id = DaemonConfigFile.Open(path, [], defaultProfile: null).File.Id!;
            Guid.Parse(id).ShouldNotBe(Guid.Empty);
            ApprovedFile.Matches("starlight-daemon.json", $"{File.GetUnixFileMode(path)}\n{File.ReadAllText(path).Replace(id, "ID", StringComparison.Ordinal)}");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Describe(MessageDescriptor message, StringBuilder text)
    {
        text.Append($"message {message.FullName}\n");
        foreach (FieldDescriptor field in message.Fields.InFieldNumberOrder())
        {
            string type = field.FieldType switch
            {
                FieldType.Message => field.MessageType.FullName,
                FieldType.Enum => field.EnumType.FullName,
                var scalar => scalar.ToString().ToLowerInvariant(),
            };
            text.Append($"  {field.FieldNumber} {(field.IsRepeated ? "repeated " : "")}{type} {field.Name}\n");
        }

        foreach (MessageDescriptor nested in message.NestedTypes)
        {
            Describe(nested, text);
        }
    }

    private static string Stream(bool streams) => streams ? "stream " : "";
}
