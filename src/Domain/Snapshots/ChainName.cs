namespace Starlight.Domain.Snapshots;

/// <summary>Reads the chain ID out of a committed snapshot's name.</summary>
public static class ChainName
{
    /// <summary>
    /// The chain ID a snapshot stands for. Provided ones know theirs. containerd names the others <c>NAMESPACE/NUMBER/CHAINID</c> (metadata/snapshot.go, createKey), other
    /// callers use the chain ID itself.
    /// </summary>
    public static string Of(Snapshot snapshot)
    {
        if (snapshot.ProvidedChainId is not null)
        {
            return snapshot.ProvidedChainId;
        }

        string name = snapshot.Key.Value;
        string[] parts = name.Split('/', 3);
        return parts.Length == 3 && parts[1].Length > 0 && parts[1].All(char.IsAsciiDigit) ? parts[2] : name;
    }
}
