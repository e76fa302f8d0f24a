"""Resonate, behind a contract: what runs bodies again until they end. All that it holds can be lost."""
