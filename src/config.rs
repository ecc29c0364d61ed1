//! Configuration: flag, environment, `.env`, `ordain.toml`, in this order.
