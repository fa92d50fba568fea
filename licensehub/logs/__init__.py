"""The ids that each line of the logs has, and the secrets that no line may contain."""
