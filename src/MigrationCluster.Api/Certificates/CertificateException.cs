namespace MigrationCluster.Api.Certificates;

/// <summary>A certificate does not do: one's own as it lies in its folder, or one that was presented.</summary>
/// <param name="code">stable, one of <see cref="ErrorCodes"/>' certificate codes.</param>
/// <param name="message">which certificate, and what is wrong with it.</param>
public sealed class CertificateException(string code, string message, string remedy) : Exception(message)
{
    public string Code { get; } = code;

    public string Remedy { get; } = remedy;

    /// <returns>null: the connection failed for another reason.</returns>
    public static CertificateException? In(Exception? error) =>
        error as CertificateException ?? (error is null ? null : In(error.InnerException));
}
