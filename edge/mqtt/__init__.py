"""MQTT: topics, messages, durable delivery, and a client that reconnects automatically.

How a daemon uses them::

    outbox = Outbox(state / "outbox.db", settings.outbox)
    client = of_device(settings.mqtt, settings.device.name, outbox.session)
    delivery = Delivery(outbox, client, settings.device.name, settings.mqtt.acknowledge)
    client.retain(topics.info, to_json(Info(...)))   # and again whenever it changes
        client.start(); delivery.start()                 # never raise or block
    outbox.put(events)
    delivery.stop(2.0); client.stop(); outbox.close()
"""
